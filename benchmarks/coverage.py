"""How often 95% intervals hold what is true, on rows drawn from populations that are known.

    python -m benchmarks.coverage                    # ten minutes of one core; docs/evaluation.md has the figures
    python -m benchmarks.coverage --simulations 100  # does it work?

Each simulation draws rows of five classes, of which the rarest has 3%, or of two, and predictions whose true accuracy
lies near the stated one (at one accuracy alone, coverage of a share goes up and down with the number of rows). Then it
asks accel_cls for its intervals. An interval that isn't given, since no row tells, counts as one that holds nothing.
Draws have fixed seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from accel_cls.evaluation.statistics import differences as difference_module
from accel_cls.evaluation.statistics import intervals as interval_module
from accel_cls.evaluation.statistics.differences import differences
from accel_cls.evaluation.statistics.intervals import Interval, intervals
from accel_cls.evaluation.statistics.paired import PairedDifference
from accel_cls.evaluation.statistics.resampling import draws
from benchmarks.populations import FIVE, METRICS, TWO, Margins, Population, judged, texts_of_rows

ROWS = (200, 1000, 2400)
NEAR = {0.9: 0.01, 0.98: 0.005}  # how far the true accuracy is from the stated one at most
HEADS = (*METRICS, "loss")
SIMULATIONS = 2000
Found = dict[str, tuple[float, Interval | None]]  # what is true, and the interval, by HEADS
Case = Callable[[float, np.ndarray, np.random.Generator], Found]


def of_scores(accuracy: float, text: np.ndarray, draw: np.random.Generator) -> Found:
    """Of a classifier. `text` says which text each row has, int64 [rows]."""
    found: Found = {}
    for classes in (FIVE, TWO):
        population, names = Population.of(accuracy, classes), _names(classes)
        true, predicted = (ids[text] for ids in population.draw(text.max() + 1, draw))
        ends = intervals(names.values(), judged(true, predicted, classes), text)
        found |= {name: (population.score(name), ends[metric]) for name, metric in names.items()}
    margins = Margins(accuracy)
    rows = margins.judged(draw.standard_normal(text.max() + 1)[text])
    return found | {"loss": (margins.loss, intervals(["loss"], rows, text)["loss"])}


def of_differences(accuracy: float, text: np.ndarray, draw: np.random.Generator) -> Found:
    """Of the difference to a second one, that errs a quarter more often and shares half of its answers."""
    found: Found = {}
    texts = text.max() + 1
    for classes in (FIVE, TWO):
        first, worse = Population.of(accuracy, classes), Population.of(1 - 1.5 * (1 - accuracy), classes)
        true, said = first.draw(texts, draw)
        other = np.where(draw.random(texts) < 0.5, said, worse.answer(true, draw))
        second, names = Population((first.joint + worse.joint) / 2), _names(classes)
        models = [judged(true[text], ids[text], classes) for ids in (said, other)]
        apart = differences(names.values(), models[0], models[1], text)
        found |= {name: (first.score(name) - second.score(name), _ends(apart[of])) for name, of in names.items()}
    margins = [Margins(accuracy), Margins(1 - 1.25 * (1 - accuracy))]
    normal = draw.standard_normal((3, texts))
    ours, its = (one.judged(((normal[0] + own) / 2**0.5)[text]) for one, own in zip(margins, normal[1:], strict=True))
    return found | {"loss": (margins[0].loss - margins[1].loss, _ends(differences(["loss"], ours, its, text)["loss"]))}


def _ends(found: PairedDifference | None) -> Interval | None:
    return None if found is None else (found.low, found.high)


def _names(classes: tuple[float, ...]) -> dict[str, str]:
    return {name: metric for name, (of, metric) in METRICS.items() if of == classes}


def coverage(case: Case, accuracy: float, texts: int, has_copies: bool, simulations: int) -> list[str]:
    """The share of simulations whose interval holds what is true, and of those without one, for each of HEADS."""
    draw, held, missing = np.random.default_rng([texts, round(1000 * accuracy)]), Counter[str](), Counter[str]()
    for _ in range(simulations):
        near = accuracy + draw.uniform(-1, 1) * NEAR[accuracy]
        for name, (true, ends) in case(near, texts_of_rows(texts, has_copies, draw), draw).items():
            held[name] += ends is not None and ends[0] <= true <= ends[1]
            missing[name] += ends is None
    none = {name: f" ({missing[name] / simulations:.1%} none)" if missing[name] else "" for name in HEADS}
    return [f"{100 * held[name] / simulations:.1f}{none[name]}" for name in HEADS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the two tables, as Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coverage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help=f"of each line; default: {SIMULATIONS:,}")
    simulations = parser.parse_args(arguments).simulations
    # The draws are the same for any rows of the same number: made once, and as scipy takes them without a copy. And no
    # test is asked for.
    setattr(interval_module, "draws", cache(lambda *of: [np.asfortranarray(some) for some in draws(*of)]))  # noqa: B010
    difference_module.RESAMPLES = 1
    began = time.process_time()
    for title, case in (("scores", of_scores), ("differences", of_differences)):
        print(f"\n| {title}: accuracy | texts | {' | '.join(HEADS)} |\n|{' --- |' * (len(HEADS) + 2)}")
        for accuracy in NEAR:
            for texts, has_copies in [*((texts, False) for texts in ROWS), (1000, True)]:
                rows = f"{texts:,}, some several times" if has_copies else f"{texts:,}"
                cells = coverage(case, accuracy, texts, has_copies, simulations)
                print(f"| {accuracy} | {rows} | {' | '.join(cells)} |", flush=True)
    by_chance = 100 * (0.95 * 0.05 / simulations) ** 0.5
    seconds = time.process_time() - began
    print(f"\n{simulations:,} simulations of each line, standard error {by_chance:.1f}; {seconds:.0f} s of one core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
