"""The data that recipes are judged on: the real ones, those of the recipe gallery, or any labelled file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accel_cls.data.data_file import stem_of
from benchmarks.data import NoRealData, real_folder
from benchmarks.processes import ROOT

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
NAMES = (*_REAL, *_SHIPPED)


def about(name: str) -> str:
    """What a set holds, for people."""
    known = (_REAL | _SHIPPED).get(name)
    return "a labelled file" if known is None else known.about


def data_set(name: str) -> DataSet:
    """A set by its name, or of a labelled file, `TRAIN` or `TRAIN,JUDGED`.

    Raises:
        NoRealData: where the folder with the real data lacks it.
        ValueError: where there is neither such a set nor such a file.
    """
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


def _of_files(paths: Sequence[Path], name: str) -> DataSet:
    if len(paths) > 2 or not all(path.is_file() for path in paths):
        raise ValueError(
            f"there is no data set and no file {name!r}; expected {', '.join(NAMES)}, a labelled file, or TRAIN,JUDGED"
        )
    train, judged = (*(path.resolve() for path in paths), None)[:2]
    assert train is not None
    return DataSet(stem_of(train), about(stem_of(train)), train, judged, None)
