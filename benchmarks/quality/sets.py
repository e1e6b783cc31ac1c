"""The data that recipes are judged on: the real ones, those of the recipe gallery, or any labelled file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accel_cls.data.data_file import stem_of
from benchmarks.data import NoRealData, real_folder
from benchmarks.processes import ROOT
from benchmarks.quality.rows import read_rows, write_rows
from benchmarks.quality.uneven import TIMES, write_uneven

_GALLERY = ROOT / "recipes" / "data"


@dataclass(frozen=True)
class DataSet:
    """Labelled texts, and those of them that contestants are judged by."""

    name: str
    about: str
    train: Path
    judged: Path | None  # None: what accel_cls splits off the training file, by the seed
    language: str | None  # None: nobody has said

    @property
    def size(self) -> int:
        """The bytes of its files, by which it is guessed how long a contestant will take."""
        return sum(path.stat().st_size for path in (self.train, self.judged) if path is not None)


@dataclass(frozen=True)
class _Known:
    about: str
    language: str
    train: str
    judged: str | None = None


_REAL = {
    "reviews": _Known("takeaway reviews, good or bad", "Chinese", "food_reviews_10k.csv"),
    "news": _Known("news titles in 10 classes", "Chinese", "thucnews_dev.txt", "thucnews_test.txt"),
    "banking77": _Known("questions to a bank in 77 classes", "English", "banking77_train.csv", "banking77_test.csv"),
    "bustm": _Known(
        "160 pairs of short sentences: the same meaning?",
        "Chinese",
        "bustm_train_few_all.jsonl",
        "bustm_test_public.jsonl",
    ),
}
_SHIPPED = {
    "food": _Known("the gallery's invented takeaway reviews", "Chinese", "food_reviews.csv"),
    "tickets": _Known("the gallery's invented messages to a shop in 6 queues", "English", "support_tickets.csv"),
    "pairs": _Known("the gallery's invented pairs of questions: the same?", "English", "question_pairs.csv"),
}
# The columns of the text and of the label; of these there are parts: see `write_uneven` and `draw`.
_COLUMNS = {"reviews": ("review", "label"), "news": ("text", "label"), "banking77": ("text", "category")}
_MADE_UNEVEN = {f"{name}-uneven": name for name in _COLUMNS}
_MADE_FEW = {f"{name}-few": name for name in _COLUMNS}
_FEW, _JUDGED = 500, 3000  # rows of these, drawn always alike
NAMES = (*_REAL, *_SHIPPED, *_MADE_UNEVEN, *_MADE_FEW)


def about(name: str) -> str:
    """What a set holds, for people."""
    if name in _MADE_UNEVEN:
        return f"{about(_MADE_UNEVEN[name])}, of the last class a {TIMES}th of its rows, of those between in between"
    if name in _MADE_FEW:
        return f"{about(_MADE_FEW[name])}, {_FEW} of them to learn from"
    known = (_REAL | _SHIPPED).get(name)
    return "a labelled file" if known is None else known.about


def is_made_uneven(name: str) -> bool:
    """Whether accuracy says little of a set, so that macro F1 is what counts."""
    return name in _MADE_UNEVEN


def data_set(name: str) -> DataSet:
    """A set by its name, or of a labelled file, `TRAIN` or `TRAIN,JUDGED`.

    Raises:
        NoRealData: where the folder with the real data lacks it.
        ValueError: where there is neither such a set nor such a file.
    """
    if name in _MADE_UNEVEN:
        of = data_set(_MADE_UNEVEN[name])
        files = [of.train] if of.judged is None else [of.train, of.judged]
        train, *judged = write_uneven(files, _COLUMNS[of.name])
        return DataSet(name, about(name), train, judged[0] if judged else None, of.language)
    if name in _MADE_FEW:
        return replace(draw(data_set(_MADE_FEW[name]), _FEW, _JUDGED, seed=1), name=name, about=about(name))
    if name in _REAL:
        folder, known = real_folder() / "data", _REAL[name]
    elif name in _SHIPPED:
        folder, known = _GALLERY, _SHIPPED[name]
    else:
        return _of_files([Path(part) for part in name.split(",")], name)
    files = [folder / file for file in (known.train, known.judged) if file is not None]
    if missing := [path.name for path in files if not path.is_file()]:
        raise NoRealData(f"data/{' and data/'.join(missing)} is not in the folder of ACCEL_CLS_REAL_DATA")
    return DataSet(name, known.about, files[0], files[1] if known.judged else None, known.language)


def draw(data: DataSet, training: int, judged: int, seed: int) -> DataSet:
    """Some rows of a set, drawn by the seed; both kinds have files of their own, and no row is of both kinds.

    Args:
        data: reviews, news or banking77.
        training: rows.
        judged: rows at most, of the set's own judged ones where it has any; of classes that training rows have.
        seed: with it the same rows each time.
    """
    shuffle, columns = random.Random(seed).shuffle, _COLUMNS[data.name]
    rows = [*read_rows(data.train, columns)]
    shuffle(rows)
    others = rows[training:]
    if data.judged is not None:
        others = [*read_rows(data.judged, columns)]
        shuffle(others)
    known = {label for _, label in rows[:training]}  # nobody can answer with other classes
    asked = [row for row in others if row[1] in known]
    files = write_rows({"train": rows[:training], "judged": asked[:judged]})
    return replace(data, train=files[0], judged=files[1])


def _of_files(paths: Sequence[Path], name: str) -> DataSet:
    if len(paths) > 2 or not all(path.is_file() for path in paths):
        raise ValueError(
            f"there is no data set and no file {name!r}; expected {', '.join(NAMES)}, a labelled file, or TRAIN,JUDGED"
        )
    train, judged = (*(path.resolve() for path in paths), None)[:2]
    assert train is not None
    return DataSet(stem_of(train), about(stem_of(train)), train, judged, None)
