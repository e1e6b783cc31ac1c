"""`accel-cls` as a terminal has it: quick, plain, asking where it is in doubt, completing keys."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import cli, command

SLOW = ("torch", "accelerate", "transformers", "datasets", "sklearn", "evaluate", "numpy", "pyarrow", "scipy")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["check", "--help"], 0),
        (["check", "wrong.yaml"], 2),
        (["plan", "wrong.yaml"], 2),
        (["explain", "wrong.yaml"], 2),
        (["launch", "wrong.yaml"], 2),
        (["profile", "wrong.yaml"], 2),
        (["train", "wrong.yaml"], 2),
        (["predict", "--help"], 0),
        (["new", "nowhere.csv", "--help"], 0),
        (["schema"], 0),
        (["recipes"], 0),
    ],
)
def test_answers_before_anything_slow_is_imported(tmp_path: Path, arguments: list[str], status: int) -> None:
    (tmp_path / "wrong.yaml").write_text("name: a\noutput: o\ndata: {train: a.csv, txt: b}\n")
    code = (
        f"import sys; sys.argv = ['accel-cls', *{arguments!r}]; from accel_cls.cli import main\n"
        "try: main()\n"
        f"finally: print('SLOW', sorted(set(sys.modules) & set({SLOW!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout.rstrip().endswith("SLOW []")
    assert "Traceback" not in done.stderr
    if status:
        assert "wrong.yaml:3:22  data.txt: unknown key; did you mean text?" in done.stderr


@pytest.mark.parametrize(
    "name", ["new", "check", "plan", "explain", "schema", "recipes", "train", "launch", "profile", "predict"]
)
def test_help_has_examples(capsys: pytest.CaptureFixture, name: str) -> None:
    status, out, _ = cli(capsys, name, "--help")
    assert status == 0
    assert f"accel-cls {name}" in out.partition("Examples:")[2]


def test_overrides_reach_every_command_that_takes_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text("name: a\noutput: o\ndata: {train: a.csv}\n")
    for name in ("check", "plan", "explain", "train", "launch", "resume", "parity", "profile"):
        status, _, err = cli(capsys, name, "r.yaml", "~seed", "train.epochs=0")
        assert status == 2
        assert err.lstrip().startswith("override 'train.epochs=0'  train.epochs: found 0; expected a whole number"), (
            name
        )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./models/x", "'models/x', and a path is not looked up on the hub; in models are the folders bert-base"),
        ("models/bert", "'models/bert', and a path is not looked up on the hub; did you mean bert-base?"),
        ("'models\\x'", "'models\\\\x', and a path is not looked up on the hub; write paths with /"),
        ("/nowhere/x", "'/nowhere/x', and a path is not looked up on the hub"),
    ],
)
@pytest.mark.parametrize("command", ["check", "plan", "train", "launch", "resume", "profile", "parity"])
def test_folder_of_a_model_that_is_missing_is_told_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    name: str,
    said: str,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models/bert-base").mkdir(parents=True)
    Path("r.yaml").write_text("name: a\noutput: o\ndata: {train: a.csv}\n")
    status, _, err = cli(capsys, command, "r.yaml", f"model.name={name}")
    assert status == 2
    assert err.strip().endswith(f"model.name: there is no folder {said}"), err
    assert cli(capsys, "new", "a.csv", "--model", name.strip("'"))[2] == f"--model: there is no folder {said}\n"


def test_overrides_survive_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text("name: a\noutput: o\ndata: {train: a.csv}\n")
    overrides = ["data.labels={0: it's bad, 1: $GOOD}", "data.text=[a b, c*]", "~seed", 'name="q"', "output=评论 1"]
    status, out, _ = cli(capsys, "launch", "r.yaml", "hardware=cpu", *overrides, "--print")
    assert status == 0
    command_line = out.removeprefix("$ accelerate launch ").strip()
    shell = ["bash", "-c", f"printf '%s\\n' {command_line}"]
    words = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert words[words.index("r.yaml") + 1 :] == ["hardware=cpu", *overrides]


@pytest.mark.parametrize("name", ["check", "plan", "explain", "profile"])
def test_mistakes_are_json_where_json_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text("name: a\noutput: o\ndata: {train: a.csv, txt: b}\n")
    status, out, err = cli(capsys, name, "r.yaml", "--json")
    assert (status, err) == (2, "")
    assert json.loads(out) == {
        "exit_status": 2,
        "errors": [
            {
                "source": "r.yaml",
                "line": 3,
                "column": 22,
                "text": "data: {train: a.csv, txt: b}",
                "key": "data.txt",
                "message": "unknown key; did you mean text?",
            }
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new", "a.csv", "-o", "a.csv/x.yaml"], "a.csv: File exists\n"),
        (["new", "a.csv", "-o", "folder", "--force"], "folder: Is a directory\n"),
        (["new", "a.csv", "--name", "n" * 300], "n" * 300 + ".yaml: File name too long\n"),
        (["schema", "--out", "folder"], "folder: Is a directory\n"),
        (["schema", "--out", "a.csv/x.json"], "a.csv: File exists\n"),
        (["recipes", "copy", "food", "--to", "a.csv"], "a.csv: File exists\n"),
        (["recipes", "copy", "../food"], "../food: there is no such shipped recipe; did you mean food?\n"),
        (["recipes", "copy", "fod"], "fod: there is no such shipped recipe; did you mean food?\n"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_place_that_can_not_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("a.csv").write_text("text,label\n" + "".join(f"words {i},{'ab'[i % 2]}\n" for i in range(60)))
    status, _, err = cli(capsys, *arguments)
    assert (status, err) == (2, words)


def test_terminal_that_can_not_show_chinese_gets_question_marks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "text,label\n" + "".join(f"很好 {i},{'好差'[i % 2]}\n" for i in range(60)), encoding="utf-8"
    )
    done = command("accel-cls", "new", "a.csv", cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "? 30, ? 30" in done.stdout


def test_asks_where_it_is_in_doubt(tmp_path: Path) -> None:
    rows = "".join(f"greeting number {i},what I want to say is {i},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "a.csv").write_text("title,body,label\n" + rows)
    main, terminal = pty.openpty()
    program = str(Path(sys.executable).parent / "accel-cls")
    process = subprocess.Popen(
        [program, "new", "a.csv"], cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    said = ""
    answered = False
    while select.select([main], [], [], 120)[0]:
        try:
            said += os.read(main, 4096).decode("utf-8", "replace")
        except OSError:  # the other side is closed
            break
        if "Number" in said and not answered:
            os.write(main, b"9\n3\n")  # the first is no answer
            answered = True
    assert process.wait(timeout=60) == 0, said
    assert "Which column holds the text?" in said
    assert "3  title and body  (pairs)" in said
    assert "text: [title, body]" in (tmp_path / "a.yaml").read_text()


def test_does_not_ask_without_a_terminal(tmp_path: Path) -> None:
    rows = "".join(f"greeting number {i},what I want to say is {i},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "a.csv").write_text("title,body,label\n" + rows)
    done = command("accel-cls", "new", "a.csv", cwd=tmp_path, stdin="")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "a.yaml").read_text()
    assert "text: body" in text
    assert "or is it title?" in text


def test_shell_completes_recipe_keys(tmp_path: Path) -> None:
    complete = {
        "_ACCEL_CLS_COMPLETE": "complete_bash",
        "COMP_WORDS": "accel-cls check r.yaml train.w",
        "COMP_CWORD": "3",
    }
    done = command("accel-cls", cwd=tmp_path, env=complete)
    assert done.stdout.split() == ["train.weight_decay=", "train.warmup="]


SCHEDULES = ["linear", "cosine", "constant", "polynomial", "inverse_sqrt", "wsd"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("check r", ["r.yaml", "recipes/", "runs/"]),
        ("train recipes/", ["recipes/a.yaml", "recipes/b.yml"]),
        ("launch rec", ["recipes/a.yaml", "recipes/b.yml"]),
        ("predict ru", ["runs/food", "runs/more/"]),
        ("predict runs/more/", ["runs/more/deep"]),
        ("parity r.yaml --hardware cpu,fs", ["cpu,fsdp"]),
        ("train r.yaml hardware=multi_", ["hardware=multi_gpu", "hardware=multi_node"]),
        ("train r.yaml hardware = multi_", ["multi_gpu", "multi_node"]),
        ("train r.yaml train.schedule=c", ["train.schedule=cosine", "train.schedule=constant"]),
        ("train r.yaml train.schedule = li", ["linear"]),
        ("train r.yaml train.schedule =", SCHEDULES),
        ("train r.yaml train.sched", [f"train.schedule={one}" for one in SCHEDULES]),
        ("explain r.yaml train.packing=", ["train.packing=true", "train.packing=false"]),
        ("plan r.yaml evaluate.best=los", ["evaluate.best=loss"]),
        ("plan r.yaml train.micro_batch_tokens=", ["train.micro_batch_tokens=auto"]),
        ("resume r.yaml train.epochs=", []),
        ("profile r.yaml ~train.w", ["~train.weight_decay", "~train.warmup"]),
        ("check r.yaml seed=1 train.w", ["train.weight_decay=", "train.warmup="]),
    ],
)
def test_shell_completes(tmp_path: Path, typed: str, offered: list[str]) -> None:
    for name in ("r.yaml", "recipes/a.yaml", "recipes/b.yml", "recipes/data.csv", "runs/food/origin.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "runs/more/deep").mkdir(parents=True)
    (tmp_path / "runs/more/deep/config.json").write_text("{}")
    words = typed.split(" ")
    env = {
        "_ACCEL_CLS_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["accel-cls", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = command("accel-cls", cwd=tmp_path, env=env)
    assert done.stdout.split() == offered, done.stderr
