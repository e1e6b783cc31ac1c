"""Predictions written for people and for programs, as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from rich.cells import cell_len  # a Chinese character takes two cells

from accel_cls.atomic import whole_file, write_csv
from accel_cls.errors import UserError, printable
from accel_cls.inference.classifier import Classifier, Prediction

Row = tuple[Sequence[str], Prediction]  # the texts of an example, and what the model says of it


def record(classifier: Classifier, prediction: Prediction) -> dict[str, Any]:
    """A prediction for programs."""
    probabilities = {name: round(p, 6) for name, p in prediction.probabilities.items()}
    return classifier.task.as_json(prediction.labels, probabilities)


def write_predictions(out: Path, classifier: Classifier, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Write texts and predictions to a file by its ending, whole; returns how many.

    Raises:
        UserError: where a text can't stand in a tab-separated file.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    ending, names = out.suffix.lower(), classifier.names
    if ending == ".jsonl":
        with whole_file(out) as file:
            count = 0
            for texts, prediction in rows:
                content = dict(zip(columns, texts, strict=True)) | record(classifier, prediction)
                file.write(json.dumps(content, ensure_ascii=False) + "\n")
                count += 1
        return count
    header = [*columns, *classifier.task.prediction_header, *(f"p({name})" for name in names)]
    lines = ([*texts, *_cells(classifier, prediction)] for texts, prediction in rows)
    if ending == ".csv":
        return write_csv(out, header, lines)
    with whole_file(out, encoding="utf-8-sig") as file:  # without quotes, as such files are read
        for number, line in enumerate(chain([header], lines)):
            _check_tabs(out, number, header, line)
            file.write("\t".join(line) + "\n")
    return number


def _cells(classifier: Classifier, prediction: Prediction) -> Iterator[str]:
    yield from classifier.task.prediction_cells(prediction.labels, prediction.probabilities)
    yield from (f"{prediction.probabilities[name]:.6f}" for name in classifier.names)


def _check_tabs(out: Path, row: int, header: Sequence[str], line: Sequence[str]) -> None:
    """Refuse texts that a tab-separated file can't hold."""
    for name, text in zip(header, line, strict=True):
        if any(c in text for c in "\t\n\r"):
            where = f"{name} {row}" if row else f"the column {name!r}"
            raise UserError(
                f"--out {out}: {where} holds a tab or a line end, as no tsv file can; choose .csv or .jsonl"
            )


def show_predictions(rows: Sequence[Row]) -> None:
    """Print a line for each text: labels, probability, all probabilities, text; aligned on a terminal."""
    shown = [printable(", ".join(prediction.labels) or "–") for _, prediction in rows]
    wide = max(map(cell_len, shown))
    for label, (texts, prediction) in zip(shown, rows, strict=True):
        label += " " * (wide - cell_len(label))
        every = "  ".join(f"{name} {p:.4f}" for name, p in prediction.probabilities.items())
        print(f"{label}  {prediction.probability:.4f}   {printable(f'({every})   {texts[0]}')}")
