"""Which rows are worth a look: doubted labels first, then twins with other labels, then texts like no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.suspicion.confident import Doubts, doubts_of
from accel_cls.evaluation.suspicion.twins import likeness, twins_with_other_labels
from accel_cls.suspecting.answering import Answered
from accel_cls.tasks.questions import Question

# Of the way from always saying the most frequent label to agreeing with all. On reviews, a tenth of them made wrong,
# naive Bayes goes 0.45 of it, and its suspects are good; on pairs of questions 0.23, and they are not.
_TELLING = 1 / 3


@dataclass(frozen=True)
class Suspect:
    """A row that is worth a look."""

    row: str  # "file.csv:17"
    texts: tuple[str, ...]
    label: str  # as it is
    suggestion: str = ""  # the label that is likelier; empty where none is suggested
    confidence: float | None = None  # what a model that has not seen the row gives the label as it is
    probability: float | None = None  # and the suggestion
    kinds: tuple[str, ...] = ()  # "model", "same text", "near-duplicate", "outlier"
    why: str = ""


@dataclass(frozen=True)
class Found:
    """What was found among all rows."""

    rows: int
    about: str  # who has judged
    agreed: float  # the share of rows whose label the judge finds the likeliest
    usual: float  # the share of rows that have the most frequent label
    wrong: float  # how many labels are wrong, as confident learning estimates it
    suspects: tuple[Suspect, ...]  # the most doubtful first
    mistaken: tuple[tuple[str, str, float], ...] = field(default=())  # label, in truth, how many: the most first
    notes: tuple[str, ...] = ()

    @property
    def is_judge_weak(self) -> bool:
        """Whether the judge knows little but which label is frequent: then its doubts tell of it, not of labels."""
        return self.agreed - self.usual < _TELLING * (1 - self.usual)

    def of_kind(self, kind: str) -> list[Suspect]:
        """Those that are suspects, among other reasons perhaps, for this one."""
        return [one for one in self.suspects if kind in one.kinds]


def find_suspects(given: Answered, outliers: int) -> Found:
    """Look through all rows.

    Args:
        given: the rows, with answers by models that have not seen them.
        outliers: how many texts to name that are least like any other.
    """
    answers, questions = given.answers, given.task.questions(given.answers.labels, given.answers.logits, given.names)
    doubts = [doubts_of(question.given, question.probabilities) for question in questions]
    found = dict(_doubted(given, questions, doubts))
    for at, kind, why in [*_twins(given), *_outliers(answers, outliers, given.seed)]:
        one = found.get(at) or _suspect(given, at)
        found[at] = _also(one, kind, why)
    order = sorted(found, key=lambda at: _rank(found[at]))
    agreed = ~np.any([one.is_doubted for one in doubts], axis=0)
    usual = np.all([one.given == np.bincount(one.given).argmax() for one in questions], axis=0)
    return Found(
        rows=len(answers),
        about=given.about,
        agreed=float(agreed.mean()),
        usual=float(usual.mean()),
        wrong=sum(one.wrong for one in doubts),
        suspects=tuple(found[at] for at in order),
        mistaken=tuple(_mistaken(questions, doubts)),
        notes=given.notes,
    )


def _suspect(given: Answered, at: int) -> Suspect:
    examples = given.answers.examples
    texts = tuple(examples.texts[at : at + 1][name][0] for name in examples.texts.column_names)
    return Suspect(examples.rows[at], texts, given.task.text_of(examples.labels[at], given.names))


def _doubted(
    given: Answered, questions: Sequence[Question], doubts: Sequence[Doubts]
) -> Iterator[tuple[int, Suspect]]:
    """Rows with an answer that is less likely than another one; all such answers are changed in the suggestion."""
    confidence = np.stack([np.where(one.is_doubted, one.confidence, np.inf) for one in doubts])
    for at in np.flatnonzero(np.isfinite(confidence.min(0))).tolist():
        label, reasons = given.answers.labels[at], []
        order = [which for which in np.argsort(confidence[:, at]).tolist() if doubts[which].is_doubted[at]]
        for which in order:
            question, doubt = questions[which], doubts[which]
            was, would = int(question.given[at]), int(doubt.suggestion[at])
            label = question.relabel(label, would)
            probabilities = question.probabilities[at, [was, would]].tolist()
            names = question.answers[was], question.answers[would]
            reasons.append(", ".join(f"{name} {_shown(p)}" for name, p in zip(names, probabilities, strict=True)))
        first = questions[order[0]], doubts[order[0]]
        probability = float(first[0].probabilities[at, first[1].suggestion[at]])
        yield (
            at,
            replace(
                _suspect(given, at),
                suggestion=given.task.text_of(label, given.names),
                confidence=float(first[1].confidence[at]),
                probability=probability,
                kinds=("model",),
                why="; ".join(reasons),
            ),
        )


def _shown(probability: float) -> str:
    return "< 0.01" if probability < 0.01 else "> 0.99" if probability > 0.99 else f"{probability:.2f}"


def _twins(given: Answered) -> Iterator[tuple[int, str, str]]:
    """Rows of which another one says the same, or nearly, with another label: (which, kind, why)."""
    examples = given.answers.examples
    texts = ["\n".join(cells) for cells in examples.texts.cells()]
    for twin in twins_with_other_labels(texts, examples.labels):
        other = f"{examples.rows[twin.other]} is {given.task.text_of(examples.labels[twin.other], given.names)}"
        is_same = texts[twin.one] == texts[twin.other]
        yield twin.one, "same text" if is_same else "near-duplicate", f"{'the same' if is_same else 'nearly'}: {other}"


def _outliers(answers: Answers, count: int, seed: int) -> Iterator[tuple[int, str, str]]:
    """The texts that are least like any other."""
    if not count:
        return
    alike = likeness(answers.examples, seed)
    for at in np.argsort(alike, kind="stable")[:count].tolist():
        yield at, "outlier", f"like no other text (similarity {alike[at]:.2g} to the nearest)"


def _also(one: Suspect, kind: str, why: str) -> Suspect:
    return replace(one, kinds=(*one.kinds, kind), why=f"{one.why}; {why}" if one.why else why)


def _rank(one: Suspect) -> tuple[int, float]:
    first = ("model", "same text", "near-duplicate", "outlier").index(one.kinds[0])
    return first, 0.0 if one.confidence is None else one.confidence


def _mistaken(questions: Sequence[Question], doubts: Sequence[Doubts]) -> Iterator[tuple[str, str, float]]:
    """Which answers are taken for which, by how many that are so."""
    pairs = [
        (question.answers[i], question.answers[j], float(doubt.joint[i, j]))
        for question, doubt in zip(questions, doubts, strict=True)
        for i, j in np.argwhere(doubt.joint >= 0.5).tolist()
        if i != j
    ]
    yield from sorted(pairs, key=lambda pair: -pair[2])
