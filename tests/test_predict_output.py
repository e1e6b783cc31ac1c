"""Where predictions go: what can't be written, or would replace what is read, is said before texts are classified."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from conftest import BASE, ROOT

from accel_cls.errors import UserError
from accel_cls.predict import main as predict

ROWS = "text,label,customer\ngood food,pos,1\nbad,neg,2\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("output") / "model"
    tiny.write_model(folder, head={0: "neg", 1: "pos"})
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text may be classified."""

    def refuse(*_: object) -> None:
        raise AssertionError("a text was classified")

    monkeypatch.setattr("accel_cls.inference.classifier.Classifier.predict_stream", refuse)


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    assert predict([*arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.strip()


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("folder.csv", "is a folder; name a file in it"),
        ("in.csv/out.csv", "can't be written: in.csv is no folder"),
        (f"{'a' * 248}.csv", "can't be written: File name too long"),
        (f"{'a' * 400}/out.csv", "can't be written: File name too long"),
        ("/proc/none/out.jsonl", "can't be written: No such file or directory"),
    ],
)
def test_what_can_not_be_written_is_said_first(here, model, no_answers, capsys, out: str, reason: str) -> None:
    (here / "folder.csv").mkdir()
    assert refused(capsys, str(model), "--file", "in.csv", "--out", out) == f"--out {out}: {reason}"
    assert sorted(path.name for path in here.iterdir()) == ["folder.csv", "in.csv"]


def test_a_folder_that_may_not_be_written_into(here, model, no_answers, capsys, monkeypatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("accel_cls.atomic.open", refuse, raising=False)  # root may write anywhere
    said = refused(capsys, str(model), "--file", "in.csv", "--out", "out.csv")
    assert said == "--out out.csv: can't be written: Permission denied"


@pytest.mark.parametrize("name", ["in.csv", "./in.csv", "link.csv", "hard.csv"])
def test_the_file_that_is_read_is_never_replaced(here, model, no_answers, capsys, name: str) -> None:
    (here / "link.csv").symlink_to("in.csv")
    os.link(here / "in.csv", here / "hard.csv")
    said = refused(capsys, str(model), "--file", "in.csv", "--out", name)
    assert said == f"--out {name}: is the file that is read, and would be replaced; name another one"
    assert (here / "in.csv").read_text(encoding="utf-8") == ROWS
    assert refused(capsys, str(model), "--file", "i*.csv", "--out", name) == said


def test_a_model_that_is_not_there_leaves_no_folder(here, capsys) -> None:
    refused(capsys, "nowhere", "--file", "in.csv", "--out", "new/out.csv")
    assert not (here / "new").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("out", ["out.csv", "out.tsv", "out.jsonl"])
def test_a_full_disk_leaves_what_was_there(here, model, capsys, monkeypatch, out: str) -> None:
    opened = open

    def on_a_full_disk(path, *arguments, **options):
        found = opened(path, *arguments, **options)
        if str(path).endswith(".partial"):
            os.dup2(os.open("/dev/full", os.O_WRONLY), found.fileno())
        return found

    (here / out).write_text("before", encoding="utf-8")
    monkeypatch.setattr("accel_cls.atomic.open", on_a_full_disk, raising=False)
    said = refused(capsys, str(model), "--file", "in.csv", "--out", out)
    assert said.splitlines()[-1] == f"--out {out}: can't be written: No space left on device"
    assert (here / out).read_text(encoding="utf-8") == "before"
    assert not [*here.glob("*.partial"), *here.glob(".*.partial")]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("given", [["--text", "good"], ["--file", "in.csv"]])
def test_full_standard_output_is_told_in_a_line(here, model, given: list[str]) -> None:
    said = _shell(here, [str(model), *given], "> /dev/full")
    assert (said.returncode, said.stderr.splitlines()[-1]) == (2, "standard output: No space left on device")
    assert "Traceback" not in said.stderr
    assert "Exception ignored" not in said.stderr


# Streams that are closed


def _shell(folder: Path, arguments: list[str], redirection: str) -> subprocess.CompletedProcess:
    line = f'"$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, "-m", "accel_cls.predict", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_closed_standard_input_is_nothing_to_classify(here, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    said = refused(capsys, "nowhere")
    assert said == "nothing to classify: give --text, --file, or texts on standard input, one a line"


def test_closed_standard_streams(here, model) -> None:
    said = _shell(here, [str(model), "--file", "in.csv", "--out", "out.csv"], "<&- >&- 2>&-")
    assert said.returncode == 0
    assert len((here / "out.csv").read_text(encoding="utf-8").splitlines()) == 3
    said = _shell(here, [str(model), "--file", "in.csv"], ">&-")
    assert (said.returncode, "Traceback" in said.stderr) == (0, False), said.stderr


def test_new_asks_nobody_where_standard_streams_are_closed(here, monkeypatch) -> None:
    from accel_cls.cli import main

    lines = [f"{name} thing {i},{name},{name}er" for i, name in enumerate(["good", "bad", "odd"] * 20)]
    (here / "two.csv").write_text("\n".join(["text,topic,intent", *lines]), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["accel-cls", "new", "two.csv"])
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert (here / "two.yaml").exists()


@pytest.mark.parametrize("end", ["stopped", "refused"])
def test_a_training_of_several_processes_ends_with_its_status(here, monkeypatch, end: str) -> None:
    from accel_cls import train
    from accel_cls.stopping import Stopped

    class Left(BaseException):
        pass

    def leave(status: int) -> None:
        raise Left(status)

    def begin(*_: object) -> None:
        raise Stopped("SIGTERM") if end == "stopped" else UserError("a mistake")

    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("os._exit", leave)
    monkeypatch.setattr("accel_cls.training.run.run_command", begin)
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    (here / "r.yaml").write_text(BASE.replace("a.csv", "in.csv"), encoding="utf-8")
    with pytest.raises(Left) as left:
        train.main(["r.yaml"])
    assert left.value.args == (75 if end == "stopped" else 2,)


def test_schema_on_a_closed_standard_output(monkeypatch) -> None:
    from accel_cls.cli import main

    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "argv", ["accel-cls", "schema"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code


# Names


def test_two_classes_of_one_name_are_refused(tmp_path: Path, capsys) -> None:
    tiny.write_model(tmp_path / "model", head={0: "other", 1: "other", 2: "pos"})
    assert refused(capsys, str(tmp_path / "model"), "--text", "good").endswith(
        "model: its config.json calls the classes 0 and 1 'other'; give each a name of its own there, in id2label and "
        "label2id"
    )
