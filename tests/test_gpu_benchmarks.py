"""The benchmarks' cases on a GPU, and what a limited time and incomplete data leave of all cases; no GPU is needed."""

import json
import time
from pathlib import Path

import psutil
import pytest
import torch
from benchmark_records import measured, record
from transformers.trainer_pt_utils import get_length_grouped_indices

from benchmarks import __main__ as command
from benchmarks import cases, data, page, prediction, training, workshop
from benchmarks.budget import Budget
from benchmarks.cases import CASES, named, obstacle
from benchmarks.contestants.request import Request
from benchmarks.contestants.stopwatch import Stopwatch
from benchmarks.floor import Work
from benchmarks.models import characters
from benchmarks.prediction import PredictionCase
from benchmarks.processes import Ended, Failed, OutOfTime, python, run
from benchmarks.training import TrainingCase, Window, entrants, ratios, seen_on_device
from benchmarks.workshop import Workshop

ENDED = Ended(began=0.0, wall_seconds=9.0, peak_bytes=10**9, output="", others_cores=0.0, cpu_seconds=9.0)


class Shop(Workshop):
    """A workshop that starts nothing."""

    def model(self, name: str, classes: int) -> Path:
        return self.place / name

    def peak(self, model: str, classes: int, precision: str, device: str) -> dict:
        return {"flop_per_second": 1e15, "optimizer_seconds": 0.001}


@pytest.fixture
def real_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with reviews alone."""
    folder = tmp_path / "real"
    (folder / "data").mkdir(parents=True)
    lines = "".join(f"{n % 2},味道{n}\n" for n in range(2400))
    (folder / "data" / "food_reviews_10k.csv").write_text(f"label,review\n{lines}", encoding="utf-8")
    monkeypatch.setenv("ACCEL_CLS_REAL_DATA", str(folder))
    return folder


# Cases ------------------------------------------------------------------------------------------------


def test_on_a_gpu_the_trainer_runs_both_compiled_and_not() -> None:
    found = [case for case in CASES.values() if isinstance(case, TrainingCase) and case.device == "cuda"]
    assert len(found) == 13
    for case in found:
        assert [str(entrant) for entrant in case.entrants] == [
            "trainer_best bf16",
            "trainer_best bf16 compiled",
            "accel_cls bf16",
        ]
    assert not any(entrant.compiled for entrant in CASES["tiny"].entrants)


def test_cases_are_asked_for_by_names_and_patterns() -> None:
    assert named(["tiny", "gpu-base-reviews-*", "tiny"]) == [
        "tiny", "gpu-base-reviews-16", "gpu-base-reviews-64", "gpu-base-reviews-256",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"no such case: gpu-small, x\*$"):
        named(["gpu-small", "tiny", "x*"])


@pytest.mark.parametrize(
    ("name", "warm", "counted"),
    [("reviews-16", 100, 100), ("reviews-64", 80, 80), ("reviews-256", 20, 20), ("even-32", 50, 50)],
)
def test_on_a_gpu_warm_updates_are_whole_groups_of_the_trainers(name, warm, counted) -> None:
    case = CASES[f"gpu-base-{name}"]
    rows = 300 * case.batch if case.texts.startswith("even") else 11_987
    window = case.window(rows, quick=False)
    assert (window.warm, window.counted) == (warm, counted)
    assert (warm + counted) * case.batch <= window.rows <= rows
    # As transformers groups them: the longest of all texts is in the first update, and each group goes down by itself.
    lengths = torch.randint(5, 400, (window.rows,), generator=torch.Generator().manual_seed(1)).tolist()
    order = [lengths[i] for i in get_length_grouped_indices(lengths, case.batch)]
    longest = [max(order[at : at + case.batch]) for at in range(0, (warm + counted) * case.batch, case.batch)]
    assert longest[0] == max(lengths)
    falls = [at for at in range(1, len(longest)) if longest[at] > longest[at - 1]]  # where a group begins
    assert {0, warm} <= {0, *falls}
    assert len(falls) == (warm + counted) // min(window.rows // (4 * case.batch), 50) - 1


def test_a_window_that_would_need_a_second_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="10240 texts are too few for 20 \\+ 30 updates of 256"):
        Window.of(11_987, 256, groups=3, quick=False, warm_groups=2)


def test_what_torch_did_too_late_is_seen() -> None:
    """Programs are counted when the warm updates have ended, and at the end."""
    watch = Stopwatch(warm=2, updates=4)
    double = torch.compile(lambda x: x * 2, backend="eager")
    for size in (3, 3, 4, 5):  # the second size makes a program for all
        double(torch.ones(size))
        watch.on_step_end(None, None, None)
    assert watch.result()["programs"][1] - watch.result()["programs"][0] == 1
    seen = seen_on_device({**watch.result(), "allocations": [5, 7], "device_peak_bytes": 10})
    assert seen == {"device_peak_bytes": 10, "late_programs": 1, "late_allocations": 2}
    late = record()
    late["cases"][0]["rounds"]["trainer_best bf16"][1]["late_programs"] = 3
    assert "compiled within the counted updates**: a, trainer_best bf16, round 2: 3." in page.tables([late])
    assert "compiled within" not in page.tables([record()])


def test_peak_memory_is_the_gpus_in_cases_on_a_gpu() -> None:
    rounds = {
        "trainer_best bf16": [measured(10.0) | {"device_peak_bytes": 4.5e9}],
        "trainer_best bf16 compiled": [measured(20.0) | {"device_peak_bytes": 3.5e9}],
        "accel_cls bf16": [measured(30.0) | {"device_peak_bytes": None}],
    }
    case = {"name": "g", "kind": "training", "title": "On a GPU", "device": "cuda", "ratios": ratios(rounds)}
    text = page.tables([record(cases=[{**case, "rounds": rounds}])])
    assert "| trainer_best bf16 | 10 | 50.0 % | 25.0 % | 4.50 GB of the GPU's |" in text
    assert "| accel_cls bf16 | 30 | 50.0 % | 25.0 % | – |" in text
    assert "trainer_best bf16: **3.00**, trainer_best bf16 compiled: **1.50** |" in text
    assert "| 2.00 GB |" in page.tables([record()])


def test_a_gpu_is_seen_only_by_cases_that_ask_for_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(workshop, "run", lambda command, env, watch, deadline: env)
    shop = Workshop(tmp_path, rounds=1, quick=True, tell=print)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert shop.run(["x"], {"A": "1"}) == {"CUDA_VISIBLE_DEVICES": "", "A": "1"}
    assert shop.for_device("cuda").run(["x"]) == {"CUDA_VISIBLE_DEVICES": "0"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    assert shop.for_device("cuda").run(["x"]) == {"CUDA_VISIBLE_DEVICES": "3"}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_on_a_gpu_pipeline_classifies_in_bf16_too(tmp_path, monkeypatch, real_data, device) -> None:
    asked = []

    def answer(self, words, env=None, watch=None) -> Ended:
        if "accel_cls.predict" not in words:
            request = json.loads((tmp_path / "request.json").read_text(encoding="utf-8"))
            asked.append((words[2].rsplit(".", 1)[1], request["precision"], *words[4:]))
            result = {"seconds": 2.0, "device_peak_bytes": 7 * 10**9, "probabilities": [[0.5, 0.5]]}
            Path(request["result"]).write_text(json.dumps(result), encoding="utf-8")
        return ENDED

    monkeypatch.setattr(Shop, "run", answer)
    monkeypatch.setattr(PredictionCase, "_evaluation", lambda self, request, shop: prediction._measured(1.0, ENDED, 8))
    monkeypatch.setattr(PredictionCase, "_work", lambda self, request, shop: Work(128, 4000, 200_000))
    case = PredictionCase("p", "BERT 2×128", "bert-tiny", 128, device=device)
    found = case.measure(Shop(tmp_path, rounds=1, quick=True, tell=print))
    in_bf16 = [("pipeline", "bf16"), ("pipeline", "bf16", "sorted")]
    assert [one for one in asked if "bf16" in one] == (in_bf16 if device == "cuda" else [])
    assert ("classifier", "fp32") in asked
    assert ("accel_cls classifier / pipeline bf16" in found["ratios"]) == (device == "cuda")
    assert ("7.00 GB of the GPU's" in page.tables([record(cases=[found])])) == (device == "cuda")


def test_texts_to_warm_up_are_the_longest_on_a_gpu_and_none_on_a_cpu() -> None:
    texts = ["a" * length for length in (3, 1, 9, 5)]
    request = Request("m", "t.csv", "r.json", batch=2)
    assert request.warm_up(texts) == []
    assert sorted(Request("m", "t.csv", "r.json", batch=2, device="cuda").warm_up(texts)) == ["a" * 5, "a" * 9]


# Contestants that fail, and rounds without time -------------------------------------------------------


def small_case(tmp_path, monkeypatch, train, rounds: int = 2) -> dict:
    monkeypatch.setattr(training, "_train_ours", train)
    monkeypatch.setattr(training, "_train_theirs", train)
    names = ("trainer_best bf16", "trainer_best bf16 compiled", "accel_cls bf16")
    case = TrainingCase("c", "A case", "bert-tiny", "reviews", 32, entrants(*names), device="cuda")
    return case.measure(Shop(tmp_path, rounds=rounds, quick=True, tell=print))


def trained(entrant, request, judged, shop):
    return 2.0, Work(100, 3000, 100_000), ENDED, {"device_peak_bytes": 5}


def test_a_contestant_that_fails_does_not_stop_the_others(tmp_path, monkeypatch, real_data, capsys) -> None:
    tried = []

    def train(entrant, request, judged, shop):
        tried.append(str(entrant))
        if entrant.compiled:
            raise Failed("no C compiler\nmore of it")
        return trained(entrant, request, judged, shop)

    found = small_case(tmp_path, monkeypatch, train)
    assert tried.count("trainer_best bf16 compiled") == 1  # not again in the second round
    assert list(found["rounds"]) == ["trainer_best bf16", "accel_cls bf16"]
    assert list(found["ratios"]) == ["accel_cls bf16 / trainer_best bf16"]
    assert "* failed: `c`, trainer_best bf16 compiled: no C compiler\n" in page.tables([record(cases=[found])])
    assert "no C compiler" in capsys.readouterr().out


def test_where_all_contestants_fail_the_case_does(tmp_path, monkeypatch, real_data) -> None:
    def train(entrant, request, judged, shop):
        raise Failed(f"{entrant} is broken")

    with pytest.raises(Failed, match="accel_cls bf16 is broken"):
        small_case(tmp_path, monkeypatch, train)


@pytest.mark.parametrize("most", [2, 5])
def test_of_rounds_only_whole_ones_are_kept_when_the_time_is_over(tmp_path, monkeypatch, real_data, most) -> None:
    count = iter(range(most))

    def train(entrant, request, judged, shop):
        if next(count, None) is None:
            raise OutOfTime
        return trained(entrant, request, judged, shop)

    if most < 3:
        with pytest.raises(OutOfTime, match="before each contestant had run once"):
            small_case(tmp_path, monkeypatch, train)
    else:
        found = small_case(tmp_path, monkeypatch, train, rounds=3)
        assert {len(rounds) for rounds in found["rounds"].values()} == {1}


def test_a_command_is_ended_at_the_deadline_with_all_that_it_started(tmp_path) -> None:
    began = time.monotonic()
    with pytest.raises(OutOfTime):
        run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path / 'pid'}; wait"], deadline=began + 1.0)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    with pytest.raises(OutOfTime, match="no time was left"):
        run(python("-c", "pass"), deadline=began)


# Limited time -----------------------------------------------------------------------------------------


class Case:
    """Takes its time by a clock that is set forward."""

    kind, device, model = "training", "cpu", "bert-tiny"

    def __init__(self, name: str, expected: float, took: float, clock: list[float], rounds: int | None = None):
        self.name, self.expected, self.took, self.clock, self.rounds = name, expected, took, clock, rounds

    def expected_seconds(self, rounds: int, quick: bool) -> float:
        return self.expected * rounds

    def measure(self, shop) -> dict:
        self.clock[0] += self.took
        if self.clock[0] > shop.deadline and self.rounds is None:
            raise OutOfTime("the time was over before each contestant had run once")
        found = {"trainer_best bf16": [measured(10.0)] * (self.rounds or shop.rounds)}
        return {"name": self.name, "kind": self.kind, "title": self.name, "rounds": found, "ratios": {}}


def limited(tmp_path, monkeypatch, seconds: float, *given: tuple) -> dict:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    mine = {name: Case(name, *rest[:2], clock, *rest[2:]) for name, *rest in given}
    monkeypatch.setattr(command, "CASES", mine)
    machine, path = record()["machine"], tmp_path / "figures.json"
    found = command.measure(list(mine), 2, False, machine, path, Budget(seconds, lambda: clock[0]))
    assert json.loads(path.read_text(encoding="utf-8")) == found
    return found


def test_the_shortest_cases_come_first_and_what_does_not_fit_is_not_begun(tmp_path, monkeypatch) -> None:
    found = limited(tmp_path, monkeypatch, 105.0, ("long", 30.0, 60.0), ("short", 10.0, 20.0), ("middle", 20.0, 40.0))
    assert [case["name"] for case in found["cases"]] == ["short", "middle"]
    assert found["skipped"] == {"long": "expected to take 60 s, and 40 of 105 s are left"}
    assert found["seconds"] == 105.0
    assert [case["took_seconds"] for case in found["cases"]] == [20.0, 40.0]


def test_what_cases_took_scales_what_is_expected_of_others(tmp_path, monkeypatch) -> None:
    given = (("a", 10.0, 10.0), ("b", 45.0, 45.0), ("c", 55.0, 50.0))
    assert [case["name"] for case in limited(tmp_path, monkeypatch, 120.0, *given)["cases"]] == ["a", "b", "c"]
    slow = limited(tmp_path, monkeypatch, 120.0, ("a", 10.0, 40.0), ("b", 40.0, 10.0))
    assert slow["skipped"] == {"b": "expected to take 160 s, and 75 of 120 s are left"}


def test_a_case_that_is_cut_short_is_told(tmp_path, monkeypatch) -> None:
    found = limited(tmp_path, monkeypatch, 100.0, ("cut", 40.0, 200.0, 1), ("late", 60.0, 1.0))
    assert found["cases"][0]["cut_short"] == "there was time for 1 of 2 rounds"
    assert "late" in found["skipped"]
    assert "* cut short: `cut`, there was time for 1 of 2 rounds" in page.tables([found])
    over = limited(tmp_path, monkeypatch, 100.0, ("over", 40.0, 200.0))
    assert over["skipped"] == {"over": "the time was over before each contestant had run once"}


def test_every_case_is_expected_to_take_some_time_and_more_with_more_rounds() -> None:
    gpu = {name: case for name, case in CASES.items() if case.device == "cuda"}
    with pytest.MonkeyPatch.context() as patch:
        rows = [("好" * 26, 0)] * 11_987
        for texts in ("reviews", "titles", "mixed"):
            patch.setattr(data, texts, lambda: rows)
        for name, case in gpu.items():
            once, thrice = case.expected_seconds(1, False), case.expected_seconds(3, False)
            assert 30 < once < thrice < 3 * once, name
            assert case.expected_seconds(1, True) <= once


# Incomplete data --------------------------------------------------------------------------------------


def test_with_reviews_alone_the_other_cases_are_skipped(real_data) -> None:
    lacking = {name: why for name, case in CASES.items() if (why := obstacle(case, "A GPU"))}
    assert set(lacking) == {
        "bert-titles", "gpu-base-titles-16", "tokenize", "e5", "predict-e5", "start-e5", "gpu-e5-reviews-16",
        "gpu-predict-e5",
    }  # fmt: skip
    assert "data/thucnews_dev.txt" in lacking["tokenize"]
    assert "no pretrained encoder under models/" in lacking["e5"]


def test_the_vocabulary_has_the_titles_characters_where_there_are_titles(real_data) -> None:
    first = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alone = characters(5000)
    assert alone[:5] == first
    assert set("味道") <= set(alone)
    assert "股" not in alone
    for part in ("dev", "test"):
        (real_data / "data" / f"thucnews_{part}.txt").write_text("股股\t1\n" * 3000, encoding="utf-8")
    with_titles = characters(5000)
    assert sorted({*with_titles} - {*alone}) == ["股"]
    ranked = [one for one in with_titles if one not in first and not one.startswith("##")]
    assert ranked[0] == "股"  # 12,000 times: the most frequent comes first


# The command ------------------------------------------------------------------------------------------


def test_the_command_names_its_file_and_succeeds_where_cases_are_skipped(real_data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command.machine, "describe", lambda: record()["machine"])
    monkeypatch.setattr(page, "publish", lambda records: pytest.fail("part of the cases is not for the page"))
    path = tmp_path / "out.json"
    assert command.main(["gpu-*", "--seconds", "30", "--out", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["cases"] == []
    assert set(found["skipped"]) == {name for name in cases.CASES if name.startswith("gpu-")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none"], "no such case: none"),
        (["--seconds", "0"], "--seconds: expected more than 0"),
        (["--out", "/no/such/folder/a.json"], "there is no folder /no/such/folder"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments, said, real_data, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_without_any_data_nothing_is_measured(monkeypatch, capsys) -> None:
    monkeypatch.delenv("ACCEL_CLS_REAL_DATA", raising=False)
    assert command.main(["tiny"]) == 2
    assert "ACCEL_CLS_REAL_DATA is not set" in capsys.readouterr().err
