"""What rules of decision promise, and what they keep: over simulated data sets, whose truth is known.

    python -m benchmarks.decisions              # 1,000 data sets of each size; two minutes of a core
    python -m benchmarks.decisions --sets 100

A model with three classes that is twice as sure as it is right answers rows whose labels are drawn by what is true.
Its temperature and rules are fitted on so many of them, as at a run's end; what they keep is counted on 20,000 others.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from accel_cls.evaluation.deciding.calibration import FOLDS, fit_temperature, folds_of, probabilities_of
from accel_cls.evaluation.deciding.decisions import Outcome, Rules, Seen, apply, fit, joined, judge
from accel_cls.evaluation.deciding.thresholds import coverage_range

ROWS = (300, 1000, 3000)  # that rules are fitted on
_POPULATION = 20_000
_CROSSED = 200  # data sets that are cross-fitted, too, which takes five times as long
_TOO_SURE = 2.0
_CLASS = 0  # that a precision is asked for
PROMISES = {
    **{f"precision {target}": Rules(precision={_CLASS: target}) for target in (0.9, 0.95)},
    **{f"accuracy {target}": Rules(accuracy=target) for target in (0.9, 0.95)},
}
COVERAGES = {target: Rules(coverage=target) for target in (0.9, 0.95)}


@dataclass(frozen=True)
class Answered:
    """A model's logits, and what is true."""

    logits: np.ndarray  # float32 [rows, 3]
    labels: np.ndarray  # int64 [rows]

    def seen(self, temperature: np.ndarray) -> Seen:
        """The same with probabilities."""
        return Seen(probabilities_of(self.logits / temperature, 1), self.logits.argmax(1), self.labels)

    def select(self, rows: np.ndarray) -> Answered:
        """Some of the rows."""
        return Answered(self.logits[rows], self.labels[rows])


def drawn(draw: np.random.Generator, rows: int) -> Answered:
    """Rows whose labels follow from the logits by softmax, and logits that are too large by a factor."""
    logits = draw.normal(0, 2.5, (rows, 3))
    labels = (logits + draw.gumbel(size=logits.shape)).argmax(1)
    return Answered((_TOO_SURE * logits).astype(np.float32), labels)


@dataclass
class Kept:
    """What one promise has come to over data sets of one size."""

    truths: list[float] = field(default_factory=list)  # of the data sets in which it could be given
    decided: list[float] = field(default_factory=list)  # the share of decisions that are left, likewise
    crossed: list[float] = field(default_factory=list)  # what cross-fitting says of some of them
    naive: list[float] = field(default_factory=list)  # the truth of thresholds at which the rows themselves are enough


def target_of(rules: Rules) -> float:
    """What a rule of precision or accuracy promises."""
    return rules.precision[_CLASS] if rules.precision else rules.accuracy or 0.0


def by_cross_fitting(rules: Rules, answered: Answered) -> Outcome:
    """As at a run's end: each fold by temperature and rules of the other four."""
    folds = folds_of(np.arange(len(answered.labels)))
    parts = []
    for fold in range(FOLDS):
        others = answered.select(folds != fold)
        temperature = fit_temperature(others.logits, others.labels)
        fitted = fit(rules, others.seen(temperature), weight=len(folds) / len(others.labels))
        parts.append(apply(fitted, answered.select(folds == fold).seen(temperature)))
    return joined(parts)


def candidates_of(rules: Rules, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of what may be decided, and whether it is right."""
    rows = (seen.predicted == _CLASS) | (not rules.precision)
    return seen.probabilities.max(1)[rows], (seen.predicted == seen.labels)[rows]


def naive_truth(rules: Rules, seen: Seen, others: Seen) -> float | None:
    """What the lowest threshold keeps from which on the rows themselves are right often enough."""
    scores, right = candidates_of(rules, seen)
    order = np.argsort(-scores)
    enough = np.flatnonzero(np.cumsum(right[order]) / np.arange(1, len(scores) + 1) >= target_of(rules))
    if not len(enough):
        return None
    scores_of_others, right_of_others = candidates_of(rules, others)
    return float(right_of_others[scores_of_others >= scores[order][enough[-1]]].mean())


def one_promise(rules: Rules, answered: Answered, seen: Seen, others: Seen, kept: Kept, is_crossed: bool) -> None:
    """Fit a promise on one data set, and note what it keeps."""
    if (truth := naive_truth(rules, seen, others)) is not None:
        kept.naive.append(truth)
    fitted = fit(rules, seen)
    if not np.isfinite(fitted.thresholds).all():
        return
    key = "precision" if rules.precision else "accuracy"
    (found,) = judge(rules, apply(fitted, others))
    kept.truths.append(found[key])
    kept.decided.append(found["decided"] / found["candidates"] if rules.precision else found["share"])
    if is_crossed:
        (out_of_fold,) = judge(rules, by_cross_fitting(rules, answered))
        if out_of_fold[key] is not None:
            kept.crossed.append(out_of_fold[key])


def promise_line(name: str, rows: int, kept: Kept, sets: int) -> list[str]:
    """A line of the table on precision and accuracy."""
    target = target_of(PROMISES[name])
    broken = int((np.array(kept.truths) < target).sum())
    given = len(kept.truths)
    return [
        name,
        f"{rows:,}",
        f"{given / sets:.0%}",
        *((f"{np.mean(values):.3f}" if values else "–") for values in (kept.truths, kept.crossed)),
        f"{np.mean(kept.decided):.0%}" if given else "–",
        f"{broken / sets:.1%}",
        f"{broken / given:.1%}" if given else "–",
        f"{(np.array(kept.naive) < target).mean():.0%}",
    ]


def coverage_line(target: float, rows: int, found: Sequence[tuple[float, float]]) -> list[str]:
    """A line of the table on prediction sets."""
    coverage, size = np.array(found).T
    ranges = (np.quantile(coverage, (0.05, 0.95)), coverage_range(rows, target))
    between = (f"{low:.3f} to {high:.3f}" for low, high in ranges)
    return [f"{target}", f"{rows:,}", f"{coverage.mean():.4f}", *between, f"{size.mean():.2f}"]


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *lines))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decisions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sets", type=int, default=1000, help="data sets of each size (default: %(default)s)")
    sets = parser.parse_args(arguments).sets
    population = drawn(np.random.default_rng(0), _POPULATION)
    promised: dict[tuple[str, int], Kept] = defaultdict(Kept)
    covered: dict[tuple[float, int], list[tuple[float, float]]] = defaultdict(list)
    for rows in ROWS:
        for seed in range(sets):
            answered = drawn(np.random.default_rng([rows, seed]), rows)
            temperature = fit_temperature(answered.logits, answered.labels)
            seen, others = answered.seen(temperature), population.seen(temperature)
            for name, rules in PROMISES.items():
                one_promise(rules, answered, seen, others, promised[name, rows], seed < _CROSSED)
            for target, rules in COVERAGES.items():
                (found,) = judge(rules, apply(fit(rules, seen), others))
                covered[target, rows].append((found["coverage"], found["mean_size"]))
    lines = [promise_line(name, rows, promised[name, rows], sets) for name in PROMISES for rows in ROWS]
    found_header = ["kept", "told by cross-fitting", "decided", "broken", "broken of those given", "naive: broken"]
    print(table(["promised", "rows", "given", *found_header], lines), end="\n\n")
    lines = [coverage_line(target, rows, covered[target, rows]) for target in COVERAGES for rows in ROWS]
    print(table(["coverage", "rows", "kept", "in nine of ten", "said to be in", "classes a set"], lines))


if __name__ == "__main__":
    main()
