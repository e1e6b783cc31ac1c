"""The arithmetic of the benchmarks, and a contestant that really trains; no time is judged."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from benchmark_records import measured, record
from conftest import train
from transformers import AutoTokenizer

from accel_cls.data.loading import load_corpus
from accel_cls.recipe import load_recipe
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks import task_of
from accel_cls.training.trace import read_trace
from benchmarks import machine, page
from benchmarks.__main__ import measure
from benchmarks.cases import _ALL_CASES, CASES
from benchmarks.contestants import ours
from benchmarks.contestants.request import Request
from benchmarks.contestants.stopwatch import Stopwatch
from benchmarks.figures import Figure, ratio
from benchmarks.floor import Work, forward_flop, training_floor, training_flop
from benchmarks.models import SHAPES, Shape
from benchmarks.processes import ROOT, Failed, accelerate_launch, environment, python, run
from benchmarks.training import TrainingCase, Window, entrants, ratios, read_stopwatch


def test_a_ratio_is_taken_in_each_round() -> None:
    found = ratio([30.0, 40.0, 90.0], [10.0, 20.0, 30.0])
    assert (found.median, found.least, found.most) == (3.0, 2.0, 3.0)


def test_ratios_are_those_of_accel_cls_to_each_other_contestant() -> None:
    found = ratios(
        {"tutorial fp32": [measured(2.0)], "accel_cls bf16": [measured(8.0)], "accel_cls fp32": [measured(4.0)]}
    )
    assert {pair: value["median"] for pair, value in found.items()} == {
        "accel_cls bf16 / tutorial fp32": 4.0,
        "accel_cls fp32 / tutorial fp32": 2.0,
    }


@pytest.mark.parametrize(
    ("values", "shown"),
    [([12.34], "12.3"), ([12.0, 13.0, 14.0], "13 (12–14)"), ([1234.5, 1300.0, 999.0], "1,234 (999–1,300)")],
)
def test_figures_have_a_spread_where_they_differ(values, shown) -> None:
    assert Figure.of(values).show() == shown


def test_flop_are_two_for_each_weight_and_token_and_four_for_each_pair_of_tokens() -> None:
    shape = Shape(layers=3, hidden=2, heads=1, vocabulary=9)
    work = Work(examples=2, tokens=3 + 5, squares=9 + 25)
    # In the last layer keys and values of all tokens, all else of two first tokens, which look at 8 tokens.
    matrices = 2 * 2 * 12 * 4 * 8 + 2 * 2 * 4 * 8 + 2 * 10 * 4 * 2
    attention, head = 2 * 4 * 2 * 34 + 4 * 2 * 8, 2 * (4 + 2 * 3) * 2
    assert forward_flop(shape, work, classes=3) == matrices + attention + head
    assert training_flop(shape, work, classes=3) == 3 * (matrices + attention + head)


def test_bert_base_has_85_million_weights_in_its_matrices() -> None:
    assert SHAPES["bert-base"].layer_weights == 84_934_656


def test_the_floor_is_products_and_optimizer() -> None:
    assert training_floor(flop=8e12, flop_per_second=2e12, updates=10, optimizer_seconds=0.05) == 4.5


def test_work_adds_up() -> None:
    assert Work(1, 2, 4) + Work(2, 6, 20) == Work(3, 8, 24)


@pytest.mark.parametrize("batch", [16, 32, 64])
@pytest.mark.parametrize("quick", [True, False])
def test_a_window_has_whole_groups_of_the_trainers(batch, quick) -> None:
    window = Window.of(11_987, batch, groups=1, quick=quick)
    group = min(window.rows // (4 * batch), 50)  # as transformers' sampler has it
    assert window.counted % group == 0
    assert window.counted % window.warm == 0  # accel_cls logs after so many updates
    assert (window.warm + window.counted) * batch <= window.rows  # within the first epoch
    assert window.rows <= 11_987


def test_too_few_texts_for_a_window_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        Window.of(100, 32, groups=1, quick=False)


def test_warm_updates_of_a_trainer_do_not_count() -> None:
    result = {"ends": [5.0, 7.0, 8.0], "examples": [4, 4, 3], "tokens": [40, 30, 20], "squares": [400, 300, 200]}
    assert read_stopwatch(result, warm=1) == (3.0, Work(7, 50, 500))


def test_the_parts_of_an_update_count_together() -> None:
    watch = Stopwatch(parts=2)
    collate = watch.counting(len)
    for lengths in ([3, 1], [2, 2], [5], [1], [9]):  # the last one was made ahead
        collate([{"attention_mask": [1] * length} for length in lengths])
    watch.ends = [1.0, 2.0]
    result = watch.result()
    assert (result["examples"], result["tokens"], result["squares"]) == ([4, 2], [8, 6], [18, 26])


def test_entrants_are_named_as_they_are_asked_for() -> None:
    names = ["tutorial fp32", "trainer_best bf16 in 4", "trainer_best bf16 compiled", "accel_cls bf16"]
    assert [str(entrant) for entrant in entrants(*names)] == names


def test_windows_of_the_log_add_up_and_have_to_be_whole() -> None:
    records = [
        {"update": 10, "examples_per_second": 1.0},
        {"update": 20, "examples_per_second": 80.0},
        {"update": 30, "examples_per_second": 160.0},
        {"update": 30, "evaluation": {}},
    ]
    assert ours.seconds_of_updates(records, first=10, last=30, batch=16) == 2.0 + 1.0
    with pytest.raises(ValueError, match="windows"):
        ours.seconds_of_updates(records, first=10, last=40, batch=16)


def test_the_page_keeps_what_stands_around_its_figures() -> None:
    page_before = f"above\n\n{page.BEGIN}\nold\n{page.END}\n\nbelow\n"
    after = page.between_markers(page_before, page.tables([record()]))
    assert after.startswith("above\n")
    assert after.endswith("\n\nbelow\n")
    assert "old" not in after
    assert "| A case | trainer_best bf16 | 15 (10–20) |" in after
    assert "trainer_best bf16: **2.50 (2.00–3.00)**" in after
    assert page.between_markers(after, page.tables([record()])) == after
    with pytest.raises(ValueError, match="expected"):
        page.between_markers("nothing", "text")


def test_figures_of_different_machines_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = record(), record()
    there["machine"] = there["machine"] | {"processor": "Another", "flags": []}
    monkeypatch.setattr(page, "PAGE", tmp_path / "speed.md")
    monkeypatch.setattr(page, "PLOT", tmp_path / "speed.svg")
    page.PAGE.write_text(f"{page.BEGIN}\n{page.END}\n", encoding="utf-8")
    page.publish([here, there, record()])
    text = page.PAGE.read_text(encoding="utf-8")
    first, second = text.split("### Another")
    for part in (first, second):
        assert part.count("| A case | trainer_best bf16 | 15 (10–20) |") == 1
    assert "(no AVX2)" in second
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "speed.svg").exists()
        assert "(speed.svg)" in first
        assert "(speed-2.svg)" in second
        assert (tmp_path / "speed-2.svg").exists()


def test_the_real_page_has_its_markers() -> None:
    assert page.between_markers(page.PAGE.read_text(encoding="utf-8"), "text")


def test_of_several_runs_the_last_figures_of_a_case_are_shown() -> None:
    skipped, failed = {"a": "no", "b": "no GPU"}, {"c": "broken\nfor reasons"}
    (case,) = record()["cases"]
    old = [{**case, "ratios": {}}, {**case, "name": "only old", "title": "Another"}]
    text = page.tables([record(cases=old, rounds=5, skipped=skipped, failed=failed), record()])
    assert text.count("A case") == 1
    assert "5 rounds of only old." in text
    assert "2 rounds of a." in text
    assert "* skipped: `b`, no GPU\n* failed: `c`, broken" in text
    assert "`a`" not in text


def test_a_plot_is_an_svg_with_english_text(tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib, of the extra bench")
    from benchmarks.plot import draw

    (case,) = record()["cases"]
    assert draw([case], tmp_path / "plot.svg")
    plot = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert "of the floor" in plot
    assert "<pattern" not in plot
    compiled = {**case, "rounds": {"trainer_best bf16 compiled": [measured(25.0)], **case["rounds"]}}
    assert draw([compiled], tmp_path / "plot.svg")
    assert "<pattern" in (tmp_path / "plot.svg").read_text(encoding="utf-8")  # hatched
    assert not draw([], tmp_path / "none.svg")


def test_names_of_cases_are_not_used_twice() -> None:
    assert len(CASES) == len(_ALL_CASES)


def test_what_the_harness_reads_of_a_run(work, monkeypatch) -> None:
    """Its log and its plan, as accel_cls has them: whoever changes either sees it here."""
    monkeypatch.chdir(work)
    done = train(work, "train.max_updates=4", "train.log_every=2", "train.trace=true")
    assert done.returncode == 0, done.stderr
    folder = work / "run"
    assert ours.seconds_of_updates(ours.logged(folder), first=2, last=4, batch=32) > 0
    updates = read_trace(folder / "trace")[2:4]
    recipe = load_recipe(folder / "recipe.yaml")
    texts = load_corpus(recipe, task_of(recipe)).train.texts["text"][:]
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    learned = [texts[i] for update in updates for part in update.parts for i in part.examples]
    lengths = [len(ids) for ids in tokenizer(learned, truncation=True)["input_ids"]]
    assert len(lengths) == 64
    assert ours.work_of_updates(folder, first=2, last=4) == Work(64, sum(lengths), sum(n * n for n in lengths))


def test_a_recipe_of_the_harness_says_what_was_asked_for(tmp_path) -> None:
    request = Request(model="m", texts="t.csv", result="r.json", batch=16, updates=60, seed=43)
    path = ours.write_recipe(tmp_path / "run.yaml", request, tmp_path / "judged.csv", log_every=10)
    recipe = load_recipe(path)
    assert (recipe.seed, recipe.train.batch_size, recipe.train.max_updates) == (43, 16, 60)
    assert recipe.train.micro_batch_tokens == Train.model_fields["micro_batch_tokens"].default


def test_without_instructions_for_bf16_the_comparison_is_in_fp32() -> None:
    case = CASES["bert-16"]
    assert isinstance(case, TrainingCase)
    assert [str(entrant) for entrant in case._fit_for(fast_bf16=False)] == [
        "tutorial fp32",
        "trainer_best fp32 in 2",
        "accel_cls fp32",
    ]


def test_what_cannot_run_here_is_told(tmp_path, capsys) -> None:
    on = {**record()["machine"], "gpu": None}
    found = measure(["gpu-base-even-32"], rounds=1, quick=True, on=on, path=tmp_path / "figures.json")
    assert list(found["skipped"]) == ["gpu-base-even-32"]
    assert "needs a CUDA device" in capsys.readouterr().out
    assert "gpu-base-even-32" in page.tables([found])


def test_a_busy_machine_is_told() -> None:
    busy = record()
    busy["cases"][0]["rounds"]["accel_cls bf16"][1]["others_cores"] = 1.5
    assert "Other processes kept cores busy meanwhile**: a, accel_cls bf16, round 2: 1.5." in page.tables([busy])
    assert "busy" not in page.tables([record()])


def test_the_users_own_packages_reach_the_contestants_behind_this_project(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/some/packages", "/others"]))
    assert environment()["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/some/packages", "/others"]
    monkeypatch.delenv("PYTHONPATH")
    assert environment()["PYTHONPATH"] == str(ROOT)


def test_the_launcher_is_found_where_packages_are_on_the_path_alone(monkeypatch, tmp_path) -> None:
    asked = ["--mixed_precision", "bf16", "--num_processes", "1", "--num_machines", "1"]
    assert accelerate_launch("bf16", "cuda") == [str(Path(sys.executable).parent / "accelerate"), "launch", *asked]
    bare = str(tmp_path / "python")
    monkeypatch.setattr(sys, "executable", bare)
    assert accelerate_launch("bf16", "cuda") == [bare, "-m", "accelerate.commands.launch", *asked]


def test_a_copy_without_git_is_measured_too(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert machine.describe()["commit"] == "an unknown commit"


def test_a_command_is_timed_and_its_failure_told() -> None:
    ended = run(python("-c", "print('good')"))
    assert ended.output.strip() == "good"
    assert ended.wall_seconds > 0
    assert ended.peak_bytes > 1e6
    with pytest.raises(Failed, match=r"^python[^/]* ended with 3"):
        run(python("-c", "raise SystemExit(3)"))
    with pytest.raises(Failed, match=r"was killed by signal 9, as the system does where memory runs out\n"):
        run(python("-c", "import os; os.kill(os.getpid(), 9)"))
