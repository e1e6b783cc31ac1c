"""What a run's best model says of labelled rows, as its folder keeps it: for people as csv, for programs as logits.

The csv file has each row's text, label, prediction and probabilities, with six digits; the safetensors file beside it
the logits and encoded labels, exactly. They are written one after the other: where a run was ended in between, its
evaluation did not count and is made again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

import numpy as np

from accel_cls.atomic import from_cell, whole_binary_file, write_csv
from accel_cls.data.examples import Examples, Part
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.deciding.postprocessing import PLAIN, Postprocessing, decision_cells
from accel_cls.runs.folder import RunFolder
from accel_cls.tasks import Task

_AFTER_TEXTS = "label"  # the column of predictions.csv that ends the texts' columns


def write_answers(
    folder: RunFolder,
    part: Part,
    answers: Answers,
    task: Task,
    names: Sequence[str],
    post: Postprocessing = PLAIN,
) -> None:
    """Put both files in place.

    Args:
        folder: the run's.
        part: whose rows they are.
        answers: of the best model.
        task: what was learned.
        names: of the classes, in the order of their ids; of a task without classes of its output.
        post: by which the csv file's probabilities and decisions are made of the logits.
    """
    from safetensors.numpy import save  # what reads no answers needs no numpy of it

    examples = answers.examples
    header = ["row", *examples.texts.column_names, _AFTER_TEXTS, *task.prediction_header, *post.columns]
    header += [f"p({name})" for name in names] if task.has_classes else []
    write_csv(folder.predictions(part), header, _rows(answers, task, names, post))
    with whole_binary_file(folder.logits(part)) as file:
        file.write(save({"logits": answers.logits, "labels": np.ascontiguousarray(answers.labels)}))


def _rows(answers: Answers, task: Task, names: Sequence[str], post: Postprocessing) -> Iterator[list[str]]:
    examples = answers.examples
    texts = [examples.texts[column][:] for column in examples.texts.column_names]
    answered = post.answer(task, answers.logits)
    for i, row in enumerate(examples.rows):
        predicted = task.named(answered.predicted[i], names)
        probabilities = dict(zip(names if task.has_classes else (), answered.probabilities[i], strict=True))
        yield [
            row,
            *(column[i] for column in texts),
            task.text_of(examples.labels[i], names),
            *task.prediction_cells(predicted, probabilities),
            *decision_cells(task, *answered.named(i, names)),
            *(f"{p:.6f}" for p in probabilities.values()),
        ]


def has_answers(folder: RunFolder, part: Part) -> bool:
    """Whether the folder keeps both files."""
    return folder.predictions(part).is_file() and folder.logits(part).is_file()


def read_answers(folder: RunFolder, part: Part) -> Answers:
    """What the best model says of the rows of a part.

    Raises:
        UserError: where the folder keeps no such answers, or damaged ones.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not has_answers(folder, part):
        which = "test rows: its recipe has no data.test" if part == "test" else "validation rows"
        raise UserError(f"{folder.path}: found no answers of a model to {which}, expected {folder.logits(part).name}")
    rows, texts = _read_texts(folder, part)
    try:
        kept = load(folder.logits(part).read_bytes())
        answers = Answers(Examples(texts, kept["labels"], tuple(rows)), kept["logits"])
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{folder.logits(part)} is damaged ({error}); train the run again with --fresh") from error
    if not len(rows) == len(answers.labels) == len(answers.logits):
        found = f"{len(rows):,} rows in {folder.predictions(part).name}, {len(answers.logits):,} beside it"
        raise UserError(f"{folder.path}: found {found}, expected as many; leave these files as they were written")
    return answers


def _read_texts(folder: RunFolder, part: Part) -> tuple[list[str], Texts]:
    """Where each row of the csv file comes from, and its texts."""
    csv.field_size_limit(1 << 30)
    with open(folder.predictions(part), encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        count = header.index(_AFTER_TEXTS) if _AFTER_TEXTS in header else 0
        if count < 2:
            raise UserError(f"{folder.predictions(part)}: found the columns {', '.join(header)}, expected a run's own")
        cells = [[from_cell(cell) for cell in row[:count]] for row in reader]
    rows, *texts = [list(column) for column in zip(*cells, strict=True)] or [[] for _ in range(count)]
    return rows, Texts.of(dict(zip(header[1:count], texts, strict=True)))
