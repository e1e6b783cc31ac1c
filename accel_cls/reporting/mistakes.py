"""The rows that a model is most wrong about, and the training texts that are most like them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accel_cls.atomic import write_json
from accel_cls.data.examples import Examples
from accel_cls.evaluation.answers import Answers
from accel_cls.runs.folder import RunFolder
from accel_cls.tasks import Task

MOST = 300  # rows that are shown
_LONGEST = 120  # characters of a training text that are kept


def worst(answers: Answers, task: Task, temperature: Sequence[float]) -> list[tuple[int, float]]:
    """The rows that are not answered as they are labelled, each with its loss: the largest first, MOST at the most.

    Args:
        answers: to look through.
        task: what was learned.
        temperature: what logits are divided by before the loss is taken, one number or one for each class.
    """
    predicted = task.decode(answers.logits).predicted
    wrong = np.flatnonzero((answers.labels != predicted).reshape(len(answers), -1).any(1))
    logits = (answers.logits[wrong] / np.array(temperature)).astype(np.float32)
    losses = task.row_losses(logits, answers.labels[wrong])
    order = np.argsort(-losses, kind="stable")[:MOST]
    return [(int(wrong[k]), float(losses[k])) for k in order]


def write_neighbours(
    folder: RunFolder,
    train: Examples,
    answers: Answers,
    task: Task,
    names: Sequence[str],
    temperature: Sequence[float],
) -> None:
    """Keep the training texts nearest to each of the worst rows: neighbours.json, by row, the nearest first.

    Args:
        folder: the run's.
        train: the training examples.
        answers: of the best model to the validation rows.
        task: what was learned.
        names: of the classes.
        temperature: see `worst`.
    """
    from accel_cls.evaluation.neighbours import nearest  # scikit-learn is slow to import

    kept = {}
    rows = [at for at, _ in worst(answers, task, temperature)]
    if rows:
        asked = answers.examples.select(np.array(rows))
        found = nearest(train, asked.texts)
        near = found.examples
        texts = {name: near.texts[name][:] for name in near.texts.column_names}
        for row, at, likeness in zip(asked.rows, found.at, found.likeness, strict=True):
            kept[row] = [
                {name: shortened(cells[i], _LONGEST) for name, cells in texts.items()}
                | {"row": near.rows[i], "label": task.text_of(near.labels[i], names), "likeness": round(float(x), 3)}
                for i, x in zip(at, likeness, strict=True)
            ]
    write_json(folder.neighbours, kept)


def shortened(text: str, longest: int) -> str:
    """The beginning of a text that may be of any length."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
