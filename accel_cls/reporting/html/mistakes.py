"""The worst mistakes: highest loss first, each with the training texts that are most like it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.mistakes import shortened, worst

_LONGEST = 400  # characters of a text
_MOST_BYTES = 350_000  # of all texts: the page stays under 1 MB, if need be with fewer mistakes


@dataclass(frozen=True)
class Near:
    """A training text that is like a mistake."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]  # names of classes, which may be none, or a number
    row: str
    likeness: float
    like: str  # "true" or "predicted": whose label it has; "" for another one


@dataclass(frozen=True)
class Mistake:
    """A validation row that was not answered as it is labelled."""

    row: str
    texts: tuple[str, ...]  # one, or both of a pair
    true: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: tuple[tuple[str, float], ...]  # of the classes named above, the likeliest first; none of numbers
    loss: float
    nearest: tuple[Near, ...]


@dataclass(frozen=True)
class Mistakes:
    """See `content`."""

    shown: tuple[Mistake, ...]
    wrong: int  # in all
    rows: int
    names: tuple[str, ...]  # of classes that a mistake is about


def content(facts: Facts) -> Mistakes:
    """The worst, as many as the page can hold; none where all is right."""
    found = worst(facts.validation, facts.task, facts.temperature)
    labels, predicted = facts.validation.labels, facts.answered.predicted
    texts = facts.validation.examples.texts.select(np.array([at for at, _ in found], np.int64))
    cells = texts.cells()
    shown = _as_many_as_fit(_mistake(facts, at, loss, cut) for (at, loss), cut in zip(found, cells, strict=True))
    wrong = int((labels != predicted).reshape(len(labels), -1).any(1).sum())
    used = {name for one in shown for name in (*one.true, *one.predicted)}
    return Mistakes(shown, wrong, len(labels), tuple(name for name in facts.names if name in used))


def _as_many_as_fit(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    fitting, left = [], _MOST_BYTES
    for one in mistakes:
        texts = [*one.texts, *(text for near in one.nearest for text in near.texts)]
        left -= sum(len(text.encode()) for text in texts)
        if left < 0:
            break
        fitting.append(one)
    return tuple(fitting)


def _mistake(facts: Facts, at: int, loss: float, texts: tuple[str, ...]) -> Mistake:
    said, row = facts.answered.predicted[at], facts.validation.examples.rows[at]
    true, predicted = facts.named(facts.validation.labels[at]), facts.named(said)
    of = dict(zip(facts.names, facts.answered.probabilities[at].tolist(), strict=True)) if facts.names else {}
    asked = sorted({*true, *predicted} & of.keys(), key=lambda name: (-of[name], name))
    labels = {"predicted": said, "true": facts.validation.labels[at]}
    like = {facts.task.text_of(label, facts.names): whose for whose, label in labels.items()}
    near = tuple(
        Near(
            tuple(one[name] for name in ("text", "pair") if name in one),
            facts.named(facts.task.parse_texts([one["label"]], facts.names)[0]),
            one["row"],
            one["likeness"],
            like.get(one["label"], ""),
        )
        for one in facts.neighbours.get(row, ())
    )
    probabilities = tuple((name, of[name]) for name in asked)
    shown = tuple(shortened(text, _LONGEST) for text in texts)
    return Mistake(row, shown, true, predicted, probabilities, loss, near)
