"""`python -m tools.gpu_check`: every step runs, on a CPU, where it shows nothing but that it works."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from conftest import ROOT

from benchmarks.cases import CASES
from tools.gpu_check import libraries, report
from tools.gpu_check.__main__ import check, command_line, main
from tools.gpu_check.children.high_scale import HighScaler
from tools.gpu_check.findings import Finding, StepFailed
from tools.gpu_check.goals import GOALS, reached
from tools.gpu_check.steps import STEPS, Step, run_steps
from tools.gpu_check.trainings import OutOfTime, Trainings


def test_the_short_form_passes_on_a_cpu(tmp_path: Path) -> None:
    """Ten times the seconds that it takes here: how fast a machine is, is not in question.

    On 400 of the sample's 3,000 reviews, and but for where a step takes a model of its own a tiny one.
    """
    elsewhere = {"benchmarks", "profile"}  # test_benchmarks and test_profiling run those
    steps = ",".join(step.name for step in STEPS if step.name not in elsewhere)
    with open(ROOT / "recipes" / "data" / "food_reviews.csv", encoding="utf-8", newline="") as sample:
        few = "".join(islice(sample, 1 + 400))
    (tmp_path / "few.csv").write_text(few, encoding="utf-8", newline="")
    options = ("--device", "cpu", "--seconds", "600", "--steps", steps)
    tiny = "model.scratch={layers: 1, hidden: 32, heads: 2, vocabulary: 500}"
    given = ("--data", str(tmp_path / "few.csv"), tiny, "evaluate.behaviour=0")
    command = ("-m", "tools.gpu_check", *options, *given, "--out", str(tmp_path))
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    found = {step["name"]: step for step in record["steps"]}
    only_gpu = {step.name for step in STEPS if step.only_gpu}
    assert {name for name, step in found.items() if step["status"] == "left out"} == only_gpu
    assert {step["status"] for name, step in found.items() if name not in only_gpu} == {"passed"}, done.stdout
    for name in found.keys() - only_gpu - {"main job"}:
        assert any(one["ok"] is not None for one in found[name]["findings"]), name
    assert found["environment"]["findings"][-1]["value"] == "forked from a warm Python"
    assert done.stdout.rstrip().endswith("s of 600 s")
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "$ python -m accelerate.commands.launch --config_file accelerate_configs/cpu.yaml" in log


def test_each_case_on_a_gpu_has_a_goal() -> None:
    assert {name for name in CASES if name.startswith("gpu-")} == GOALS.keys()


def test_goals_are_held_against_the_best_of_the_others() -> None:
    def case(name: str, ours: float, share: float, memory: int) -> dict:
        theirs = {"floor_share": 0.1, "flop_share": 0.1, "device_peak_bytes": 4_000}
        others = {f"trainer_best bf16{more}": [theirs | {"examples_per_second": s}] for more, s in speeds.items()}
        mine = {"examples_per_second": ours, "floor_share": share, "flop_share": share, "device_peak_bytes": memory}
        return {"name": name, "rounds": {**others, "accel_cls bf16": [mine]}}

    speeds = {"": 100.0, " compiled": 200.0}
    slow, met, large = "gpu-base-reviews-16", "gpu-tiny-reviews-32", "gpu-large-even-128"
    cases = [
        case(slow, 1_500, 0.3, 4_000),
        case(met, 1_600, 0, 4_000),
        case(large, 300, 0.5, 4_400),
        case("bert", 1, 0, 0),
    ]
    found = list(reached({"cases": cases}))
    assert [one.what for one in found] == [f"goal of {name}" for name in (slow, met, large)]
    assert [one.ok for one in found] == [False, True, False]
    assert (
        found[0].value
        == "7.50 times as fast (8.00 wanted), 30% of the floor (25% wanted), 1.00 of its memory (at most 1 wanted)"
    )
    assert "50% of peak (45% wanted), 1.10 of its memory" in found[2].value
    one = {"seconds": 1.0, "device_peak_bytes": None}
    rounds = {"pipeline bf16": [one | {"seconds": 6.0}], "accel_cls bf16": [one]}
    (found,) = reached({"cases": [{"name": "gpu-predict-e5", "count": 100, "rounds": rounds}]})
    assert found == Finding("goal of gpu-predict-e5", "6.00 times as fast (5.00 wanted)", True)


# Steps that go wrong -------------------------------------------------------------------------------------


def trainings(place: Path) -> Trainings:
    return Trainings("cpu", None, place, place / "log.txt", warm=False, facts={"device": "CPU"})


def test_no_step_stops_the_others(tmp_path: Path) -> None:
    def passes(t: Trainings) -> Iterator[Finding]:
        yield Finding("a", "1", True)

    def is_wrong(t: Trainings) -> Iterator[Finding]:
        yield Finding("b", "2", False)

    def fails(t: Trainings) -> Iterator[Finding]:
        yield Finding("c", "3", True)
        raise StepFailed("no luck")

    def is_defective(t: Trainings) -> Iterator[Finding]:
        yield Finding("d", str(1 // 0))

    def hangs(t: Trainings) -> Iterator[Finding]:
        t.deadline = 0  # as if its time were over
        t.run("timeit", "-n1", "-r1", "import time; time.sleep(600)")
        yield Finding("e", "never")

    checks = {"passes": passes, "is wrong": is_wrong, "fails": fails, "is defective": is_defective, "hangs": hangs}
    steps = [
        *(Step(name, check, 60, ()) for name, check in checks.items()),
        Step("needs", passes, 60, ("no-such-library",)),
    ]
    records = list(run_steps([*steps, Step("last", passes, 60, ())], trainings(tmp_path), 600, lambda _: None))
    assert [(record["name"], record["status"]) for record in records] == [
        ("passes", "passed"),
        ("is wrong", "failed"),
        ("fails", "failed"),
        ("is defective", "failed"),
        ("hangs", "out of time"),
        ("needs", "left out"),
        ("last", "passed"),
    ]
    assert records[2]["findings"] == [{"what": "c", "value": "3", "ok": True}], "what was found before is kept"
    assert records[2]["why"] == "no luck"
    assert records[3]["why"] == "ZeroDivisionError: integer division or modulo by zero"
    assert "ZeroDivisionError" in (tmp_path / "log.txt").read_text()
    assert records[5]["why"] == "needs no-such-library, not installed here"


def test_each_step_is_on_record_as_it_ends(tmp_path: Path) -> None:
    def passes(t: Trainings) -> Iterator[Finding]:
        yield Finding("a", "1", True)

    options = command_line().parse_args(["--device", "cpu", "--out", str(tmp_path)])
    steps = [Step("one", passes, 60, ()), Step("two", passes, 60, ())]
    assert [len(record["steps"]) for record in check(options, steps)] == [1, 2]


def test_when_all_time_is_over_nothing_more_begins(tmp_path: Path) -> None:
    def never(t: Trainings) -> Iterator[Finding]:
        raise AssertionError

    (record,) = run_steps([Step("late", never, 60, ())], trainings(tmp_path), 0, lambda _: None)
    assert (record["status"], record["findings"]) == ("out of time", [])


def test_command_that_fails_is_told_with_its_last_lines_and_kept_in_the_log(tmp_path: Path) -> None:
    t = trainings(tmp_path)
    with pytest.raises(StepFailed, match=r"accel_cls.train ended with status 2:\n(.*\n)*.*no.yaml"):
        t.run("accel_cls.train", "no.yaml")
    assert "$ python -m accel_cls.train no.yaml" in t.log.read_text(encoding="utf-8")
    t.deadline = 0
    with pytest.raises(OutOfTime):
        t.run("accel_cls.train", "no.yaml")


def test_without_the_device_the_other_steps_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert main(["--out", str(tmp_path), "--steps", "parity"]) == 1
    said = capsys.readouterr().out
    assert "environment: failed" in said
    assert "parity: left out; there is no such device" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "parity,pariti"], "no step is called pariti"),
        (["--data", "nowhere.csv"], "there is no file nowhere.csv"),
        (["--seconds", "0"], "--seconds: expected 1 or more"),
    ],
)
def test_mistakes_are_explained(options: list[str], words: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(options)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


# What is told --------------------------------------------------------------------------------------------


def record(findings: int = 1, benchmarks: dict | None = None) -> dict:
    found = [{"what": "a|b", "value": "same", "ok": True}] * findings
    steps = [
        {"name": "bits", "status": "passed", "why": "", "findings": found},
        {"name": "fp16", "status": "left out", "why": "needs a CUDA device", "findings": []},
        {"name": "saving", "status": "failed", "why": "ended with status 2:\nthe last line", "findings": []},
    ]  # fmt: skip
    return {
        "date": "2030-01-01", "device": "A GPU", "versions": {"torch": "2.13.0"}, "commit": "abc", "limit": 480,
        "seconds": 400.0, "steps": steps, "benchmarks": benchmarks,
    }  # fmt: skip


def test_table_has_every_finding_and_each_step_that_has_none() -> None:
    lines = report.table(record()).splitlines()
    assert lines[0] == "2030-01-01, A GPU; torch 2.13.0; accel_cls at abc"
    assert [line.split() for line in lines[1:4]] == [
        ["bits", "a|b", "same", "ok"],
        ["fp16", "needs", "a", "CUDA", "device", "left", "out"],
        ["saving", "the", "last", "line", "NOT", "OK"],
    ]
    assert lines[-1] == "1 passed, 1 left out, 1 failed; 400 s of 480 s"
    assert "shows that the steps work, and no more" in report.table(record() | {"device": "CPU"})


def test_table_is_never_longer_than_a_screen() -> None:
    lines = report.table(record(findings=100)).splitlines()
    assert len(lines) == report.MOST_LINES
    assert lines[-2] == "and 45 lines more, in the record"


def test_publishing_replaces_what_was_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "hardware.md"
    page.write_text(f"before\n{report._BEGIN}\n\nold\n\n{report._END}\nafter\n", encoding="utf-8")
    assert report.publish(record(), page, tmp_path / "none.md") == [page]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| bits | a\\|b | same | ok |" in text
    assert "2030-01-01, A GPU; torch 2.13.0" in text


def test_the_real_pages_have_their_markers() -> None:
    for path in (report.HARDWARE, report.SPEED):
        text = path.read_text(encoding="utf-8")
        assert text.count(report._BEGIN) == text.count(report._END) == 1, path


def test_libraries_are_compared_with_the_tested_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.missing(("torch", "no-such-library")) == ["no-such-library"]
    monkeypatch.setattr(libraries, "version", lambda name: "0.1" if name == "PyYAML" else "2.13.0+cpu")
    (odd,) = libraries.untested(("torch", "PyYAML"))
    assert odd.startswith("PyYAML 0.1 (tested: ")


def test_scaler_of_the_fp16_step_begins_high() -> None:
    assert HighScaler("cpu").get_scale() == 2.0**32
    assert HighScaler("cpu", init_scale=4.0).get_scale() == 4.0
