"""Choices go together, or are refused before anything is trained: each two of them, in as few trainings as do."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from conftest import train, write_recipe
from tiny import write_model

from accel_cls.recipe import load_recipe
from accel_cls.recipe.errors import RecipeError
from benchmarks.craft.choices import CHOICES, PLAIN

# What the benchmark does not measure: what changes no score, or learns from other examples.
_MORE = {
    "checkpointing": ("train.gradient_checkpointing=true",),
    "unpacked": ("train.packing=false",),
    "fewer-layers": ("model.keep_layers=8",),
    "static": ("train.cuda_graphs=true",),
    "few-shot": ("few_shot={examples: 8}",),
    "distilled": ("distill={teacher: teacher, hidden: 1}",),
    "refit": ("refit=true",),
}
# Numbers of what each recipe has are no choices, and of six layers some choices would have none left.
_NUMBERS = {"rate-1e-4", "rate-2e-4", "epochs-5", "keep-6"}
ALL = {
    one.name: one.overrides
    for one in CHOICES.values()
    if one is not PLAIN and "e5" in one.starts and one.name not in _NUMBERS
} | _MORE
_FEWEST = "train.max_updates=2"


@pytest.fixture
def tiny(work: Path) -> Path:
    """A folder with the tiny data set, an encoder of 9 layers, a recipe that begins with it, and a teacher's run."""
    torch.manual_seed(0)
    write_model(work / "encoder", num_hidden_layers=9)
    write_recipe(
        work,
        model="{name: encoder}",
        train="{epochs: 3, batch_size: 32, micro_batch_tokens: 512, learning_rate: 1e-3, log_every: 1}",
    )
    teacher = train(work, _FEWEST, "output=teacher")
    assert teacher.returncode == 0, teacher.stderr
    return work


def keys(*names: str) -> list[str]:
    return [line.partition("=")[0] for name in names for line in ALL[name]]


def refusal(work: Path, *names: str) -> str | None:
    """What is said of choices that do not go together; None where nothing is."""
    try:
        load_recipe(work / "recipe.yaml", [line for name in names for line in ALL[name]])
    except RecipeError as error:
        return str(error)
    return None


def can_be_asked(*names: str) -> bool:
    """Whether no two of them are values of one key, or of a mapping and a key in it."""
    found = keys(*names)
    sections = {key.rpartition(".")[0] for key in found}
    return len(set(found)) == len(found) and not sections & {*found}


def in_few_trainings(work: Path, together: set[tuple[str, str]]) -> list[list[str]]:
    """Sets of choices that go together, in which each of these pairs is: greedily, each as large as can be."""
    left, found = set(together), list[list[str]]()
    while left:
        chosen = [*min(left)]
        for name in sorted(ALL, key=lambda name: -sum(name in pair for pair in left)):
            with_it = {(min(name, one), max(name, one)) for one in chosen if one != name}
            goes = name not in chosen and with_it <= together and with_it & left
            if goes and refusal(work, *chosen, name) is None:  # three may contradict each other where no two do
                chosen.append(name)
        left -= set(itertools.combinations(sorted(chosen), 2))
        found.append(chosen)
    return found


def test_each_two_choices_train_together_or_are_refused_by_name(tiny: Path) -> None:
    pairs = {pair for pair in itertools.combinations(sorted(ALL), 2) if can_be_asked(*pair)}
    said = {pair: refusal(tiny, *pair) for pair in pairs}
    for pair, message in said.items():
        if message is not None:
            assert any(key in message for key in keys(*pair)), (pair, message)
            assert any(words in message for words in ("leave", "take", "expected")), (pair, message)
    together = {pair for pair, message in said.items() if message is None}
    assert len(together) > len(pairs) / 2
    for number, names in enumerate(in_few_trainings(tiny, together)):
        lines = [line for name in names for line in ALL[name]]
        done = train(tiny, *lines, _FEWEST, f"output=run{number}")
        assert done.returncode == 0, (names, done.stdout[-1500:], done.stderr[-3000:])
        assert json.loads((tiny / f"run{number}" / "results.json").read_text(encoding="utf-8"))["updates"] == 2, names
