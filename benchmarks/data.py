"""The texts of the cases, made from the real ones: csv files with the columns text and label."""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

Rows = list[tuple[str, int]]

LONG_CHARACTERS = 400  # of every tenth text of the mix; in Chinese a character is about a token
_TITLE_JOINT = 0.5  # where a title is cut to make new ones of two halves


_TITLES = ("thucnews_dev.txt", "thucnews_test.txt")


class NoRealData(Exception):
    """The folder with the real data is not there, or lacks what is asked for."""


def real_folder() -> Path:
    """The folder that ACCEL_CLS_REAL_DATA names."""
    name = os.environ.get("ACCEL_CLS_REAL_DATA")
    if not name:
        raise NoRealData("ACCEL_CLS_REAL_DATA is not set: it names the folder with data/food_reviews_10k.csv")
    folder = Path(name).resolve()
    if not (folder / "data" / "food_reviews_10k.csv").is_file():
        raise NoRealData(f"ACCEL_CLS_REAL_DATA={name}: there is no data/food_reviews_10k.csv")
    return folder


def reviews() -> Rows:
    """All real reviews, in an order that is always the same and mixes the classes."""
    with open(real_folder() / "data" / "food_reviews_10k.csv", encoding="utf-8-sig", newline="") as file:
        rows = [(row["review"], int(row["label"])) for row in csv.DictReader(file)]
    random.Random(1).shuffle(rows)
    return rows


def has_titles() -> bool:
    """Whether the folder with the real data has the news titles, too."""
    return all((real_folder() / "data" / name).is_file() for name in _TITLES)


def encoder() -> Path:
    """The folder of the real, pretrained encoder."""
    for config in sorted((real_folder() / "models").glob("*/config.json")):
        return config.parent
    raise NoRealData("there is no pretrained encoder under models/ in the folder of ACCEL_CLS_REAL_DATA")


def titles() -> Rows:
    """All real news titles, in ten classes."""
    if not has_titles():
        raise NoRealData(f"data/{' or data/'.join(_TITLES)} is not in the folder of ACCEL_CLS_REAL_DATA")
    rows = []
    for name in _TITLES:
        text = (real_folder() / "data" / name).read_text(encoding="utf-8")
        rows += [(title, int(label)) for title, label in (line.rsplit("\t", 1) for line in text.splitlines() if line)]
    random.Random(1).shuffle(rows)
    return rows


def mixed() -> Rows:
    """Nine reviews as they are, then one that is as many reviews in a row as LONG_CHARACTERS hold, and so on."""
    rows, parts = [], iter(reviews())
    for number, (text, label) in enumerate(parts, start=1):
        if number % 10 == 0:
            for more, _ in parts:
                if len(text) + len(more) >= LONG_CHARACTERS:
                    break
                text += more
        rows.append((text, label))
    return rows


def even(characters: int, count: int) -> Rows:
    """Texts of just so many Chinese characters, from the reviews; with [CLS] and [SEP] two tokens more."""
    stream = "".join(c for text, _ in reviews() for c in text if "一" <= c <= "龥")
    draw = random.Random(1)
    starts = [draw.randrange(len(stream) - characters) for _ in range(count)]
    return [(stream[start : start + characters], number % 2) for number, start in enumerate(starts)]


def new_titles(count: int) -> Iterator[str]:
    """So many short texts, nearly all different: the first half of one title and the second of another."""
    known = [title for title, _ in titles()]
    halves = [(t[: int(len(t) * _TITLE_JOINT)], t[int(len(t) * _TITLE_JOINT) :]) for t in known]
    draw = random.Random(1)
    for _ in range(count):
        yield draw.choice(halves)[0] + draw.choice(halves)[1]


def write_rows(path: Path, rows: Sequence[tuple[str, int]]) -> Path:
    """A csv of texts and labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path
