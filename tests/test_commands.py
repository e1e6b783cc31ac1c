"""Every command that the docs, the recipes and the help texts show is one that works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from accelerate.commands.launch import launch_command_parser
from conftest import ROOT, cli

from accel_cls import predict, train
from accel_cls.authoring.gallery import shipped_recipes
from accel_cls.cli import app
from accel_cls.recipe import load_recipe
from benchmarks import __main__ as benchmarks
from benchmarks.cases import named
from benchmarks.craft import __main__ as craft
from benchmarks.craft.settings import by_name
from benchmarks.quality import __main__ as quality
from tools.gpu_check import __main__ as gpu_check
from tools.model_matrix import __main__ as model_matrix

# What a page may use besides our own commands.
OTHERS = (
    "python3 -m venv",
    ". .venv",
    "pip install",
    "pytest",
    "sbatch ",
    "pre-commit install",
    "cat ",
    "cp ",
    "accelerate config",
    "export ",
)
CLI = typer.main.get_command(app)


def shown() -> Iterator[tuple[str, str]]:
    """(where, command line) of all that is shown to be typed."""
    for page in [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if language == "bash" or line.startswith("$ "):
                    yield page.name, line.removeprefix("$ ")
    for recipe in shipped_recipes():
        for line in recipe.commands:
            yield recipe.name, line
    for name, command in [*CLI.commands.items(), ("recipes copy", CLI.commands["recipes"].commands["copy"])]:
        for line in (command.help or "").splitlines():
            if line.strip().startswith("accel-cls "):
                yield f"accel-cls {name} --help", line.strip()


def commands(line: str) -> Iterator[list[str]]:
    """The single commands of a line, as words; pipes cut them apart, redirections are left out."""
    line = re.sub(r"\$\(.*\)|\$[A-Z]+", "VALUE", re.sub(r"[<>] *\S+", "", line))
    words = shlex.split(line, comments=True)
    command: list[str] = []
    for word in [*words, "&&"]:
        if word in ("&&", "|", ";"):
            if command:
                yield command
            command = []
        else:
            command.append(word)


LINES = [(where, line) for where, line in shown() if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize(("where", "line"), LINES, ids=[f"{where}: {line[:60]}" for where, line in LINES])
def test_command_is_right(where: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for command in commands(line):
        check(command)


def check(words: list[str]) -> None:
    joined = " ".join(words)
    if words[0] == "accel-cls":
        _check_ours(words[1:])
    elif words[:2] == ["accelerate", "launch"]:
        options = launch_command_parser().parse_args(words[2:])
        assert options.module, joined
        assert options.training_script in ("accel_cls.train", "accel_cls.pretrain")
        assert options.config_file is None or Path(options.config_file).is_file(), joined
        _check_training(options.training_script_args)
    elif words[:3] == ["python", "-m", "accel_cls.train"]:
        _check_training(words[3:])
    elif words[:3] == ["python", "-m", "accel_cls.predict"]:
        typer.main.get_command(predict.app).make_context("predict", words[3:])
    elif words[:3] == ["python", "-m", "benchmarks"]:
        named(benchmarks.command_line().parse_args(words[3:]).names)  # raises where there is no such case
    elif words[:3] == ["python", "-m", "benchmarks.quality"]:
        quality.command_line().parse_args(words[3:])
    elif words[:3] == ["python", "-m", "benchmarks.craft"]:
        by_name(craft.command_line().parse_args(words[3:]).settings)  # likewise
    elif words[:3] == ["python", "-m", "tools.gpu_check"]:
        gpu_check.command_line().parse_args(words[3:])
    elif words[:3] == ["python", "-m", "tools.model_matrix"]:
        model_matrix.command_line().parse_args(words[3:])
    else:
        assert joined.startswith(OTHERS) or re.match(r"[A-Z]+=", joined), joined


def _check_training(words: list[str]) -> None:
    options = train.command_line().parse_intermixed_args(words)
    _check_recipe(options.recipe, options.overrides)


def _check_recipe(recipe: str, overrides: list[str]) -> None:
    if recipe.startswith("recipes/") and recipe not in ("recipes/mine.yaml", "recipes/news.yaml"):
        assert Path(recipe).is_file(), recipe
    if Path(recipe).is_file():
        load_recipe(recipe, overrides)
    else:
        assert recipe.endswith(".yaml")


def _check_ours(words: list[str]) -> None:
    command, name = CLI, "accel-cls"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, command = words[0], command.commands[words[0]]
        words = words[1:]
    if "--install-completion" in words:
        return
    context = command.make_context(name, list(words))
    if "recipe" in context.params:
        texts = context.params.get("overrides") or context.params.get("keys") or ()
        _check_recipe(context.params["recipe"], [text for text in texts if "=" in text or text.startswith("~")])
    if name == "copy":
        assert context.params["name"] in {recipe.name for recipe in shipped_recipes()}


def test_shown_explanation_is_what_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown_command, said = re.search(r"^\$ accel-cls (explain .*)\n([^`]*)^```", page, re.M).groups()
    assert cli(capsys, *shown_command.split())[1] == said


def test_there_is_something_to_check() -> None:
    assert len(LINES) > 40
    assert len({where for where, _ in LINES}) > 20


@pytest.mark.parametrize(
    "line",
    [
        "accel-cls chekc recipes/food.yaml",
        "accel-cls check recipes/nowhere.yaml",
        "accel-cls check recipes/food.yaml --jsn",
        "accelerate launch -m accel_cls.train recipes/food.yaml train.epoch=3",
        "accelerate launch --config_file nowhere.yaml -m accel_cls.train recipes/food.yaml",
        "python -m accel_cls.predict runs/food --txt a",
        "accel-cls recipes copy nowhere",
        "rm -rf runs",
    ],
)
def test_wrong_command_would_be_noticed(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = commands(line)
    with pytest.raises((Exception, SystemExit)):  # click's, argparse's, ours
        check(command)
