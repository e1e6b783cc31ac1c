"""The plain recipes that choices are added to: two data sets, from nothing and with a real encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from benchmarks.data import NoRealData
from benchmarks.processes import ROOT
from benchmarks.quality.encoders import Encoder, NoEncoder, encoder
from benchmarks.quality.sets import DataSet, data_set, draw

Start = Literal["ngrams", "bert", "e5", "e5-1000"]

_RECIPES = ROOT / "recipes"
_SHIPPED = {"reviews": _RECIPES / "food.yaml", "news": _RECIPES / "news.yaml"}
SETS = tuple(_SHIPPED)
# By what a training takes on two cores of a server CPU: half a minute, one or two minutes, ten or more.
STARTS: dict[Start, str] = {
    "ngrams": "the recipe that `accel-cls new` writes without a model",
    "bert": "a BERT of two layers from nothing, as recipes/food.yaml and recipes/news.yaml have it",
    "e5": "the recipe that `accel-cls new --model` writes for multilingual-e5-small",
    "e5-1000": "likewise for 1,000 rows that the seed draws, judged by 3,000 others",
}
PRETRAINED: tuple[Start, ...] = ("e5", "e5-1000")
_DRAWN: dict[Start, tuple[int, int]] = {"e5-1000": (1000, 3000)}  # rows to learn from, rows to judge by
_draw = cache(draw)  # the same files for each choice
NAMES = tuple(f"{data}-{start}" for start in STARTS for data in SETS)


@dataclass(frozen=True)
class Setting:
    """A plain recipe, and the rows that it is judged by."""

    data: DataSet
    start: Start
    encoder: Encoder  # what the results are kept under; its folder only where it is pretrained

    @property
    def name(self) -> str:
        """As the command line has it."""
        return f"{self.data.name}-{self.start}"

    def rows(self, seed: int) -> DataSet:
        """Those of the data that are learned and judged with a seed."""
        drawn = _DRAWN.get(self.start)
        return self.data if drawn is None else _draw(self.data, *drawn, seed)

    @property
    def shipped(self) -> Path | None:
        """The recipe that comes along; None where `accel-cls new` writes it."""
        return _SHIPPED[self.data.name] if self.start == "bert" else None

    def overrides(self, seed: int) -> list[str]:
        """What the recipe is told of a seed's rows. The judged file, where there is one, chooses nothing.

        A fifth is split off for validation, which judges the models from nothing on more rows; with an encoder it is
        what `accel-cls new` writes. These are not learned in the end: choices are compared by one training.
        """
        rows = self.rows(seed)
        told = [f"data.train={json.dumps(str(rows.train))}", "evaluate.behaviour=0", "refit=false"]
        told += [] if self.start in PRETRAINED else ["data.validation=0.2"]
        return told if rows.judged is None else [*told, f"data.test={json.dumps(str(rows.judged))}"]


def setting(name: str) -> Setting:
    """A setting by its name.

    Raises:
        NoRealData: where the data are not on this machine.
        NoEncoder: where the encoder is not.
        ValueError: for a name that there is not.
    """
    if name not in NAMES:
        raise ValueError(f"there is no setting {name!r}; expected some of {', '.join(NAMES)}")
    of_data, _, of_start = name.partition("-")
    start: Start = next(one for one in STARTS if one == of_start)
    return Setting(data_set(of_data), start, encoder("e5", None) if start in PRETRAINED else Encoder(start, None))


def by_name(names: Sequence[str]) -> tuple[list[Setting], list[str]]:
    """Those that can be had here, and why each other one can't."""
    found, missing = list[Setting](), list[str]()
    for name in dict.fromkeys(names):
        try:
            found.append(setting(name))
        except (NoRealData, NoEncoder) as error:
            missing.append(f"{name} skipped: {error}")
    return found, missing
