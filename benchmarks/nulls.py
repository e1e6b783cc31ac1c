"""How often each test of a difference sees one where there is none: 5% of the time, if p < 0.05 means what it says.

    python -m benchmarks.nulls                    # minutes on one core; docs/evaluation.md has the figures
    python -m benchmarks.nulls --simulations 100  # does it work?

Both models of a simulation are of the same population and share half of their answers. Draws have fixed seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binomtest

from accel_cls.evaluation.statistics import differences as difference_module
from accel_cls.evaluation.statistics.differences import differences
from accel_cls.evaluation.statistics.paired import paired_difference
from benchmarks.populations import FIVE, Population, judged, texts_of_rows

ROWS = (200, 1000)
ACCURACIES = (0.9, 0.98)
SIMULATIONS = 2000
Test = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], float]


def _right(true: np.ndarray, said: np.ndarray, other: np.ndarray, text: np.ndarray, _: np.random.Generator) -> float:
    return paired_difference(said == true, other == true, text).p


def _mid_p(true: np.ndarray, said: np.ndarray, other: np.ndarray, *_: object) -> float:
    """By all ways to flip the rows that differ, or many of them."""
    return paired_difference((said == true).astype(np.float64), (other == true).astype(np.float64)).p


def _exact(true: np.ndarray, said: np.ndarray, other: np.ndarray, *_: object) -> float:
    won, lost = int(((said == true) & (other != true)).sum()), int(((said != true) & (other == true)).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def _rows(true: np.ndarray, said: np.ndarray, other: np.ndarray, *_: object) -> float:
    return paired_difference(said == true, other == true).p


def _errors(_: np.ndarray, said: np.ndarray, __: np.ndarray, text: np.ndarray, draw: np.random.Generator) -> float:
    """Of absolute errors, with long tails; rows of a text have the same."""
    shared = draw.standard_t(3, text.max() + 1)
    first, second = (-np.abs(shared + draw.standard_t(3, len(shared)))[text] for _ in range(2))
    return paired_difference(first, second, text).p


def _macro(true: np.ndarray, said: np.ndarray, other: np.ndarray, text: np.ndarray, _: np.random.Generator) -> float:
    one = differences(["f1_macro"], judged(true, said, FIVE), judged(true, other, FIVE), text)["f1_macro"]
    return 1.0 if one is None else one.p


TESTS: dict[str, tuple[Test, bool]] = {  # and whether some texts occur several times
    "McNemar": (_right, False),
    "McNemar, mid-p (not used)": (_mid_p, False),
    "McNemar, exact (not used)": (_exact, False),
    "rows that are right, copies": (_right, True),
    "McNemar, copies as rows (not used)": (_rows, True),
    "absolute errors": (_errors, False),
    "absolute errors, copies": (_errors, True),
    "macro F1": (_macro, False),
    "macro F1, copies": (_macro, True),
}


def rejected(test: Test, has_copies: bool, accuracy: float, texts: int, simulations: int) -> float:
    """The share of simulations with p < 0.05."""
    draw, population, count = np.random.default_rng([texts, round(1000 * accuracy)]), Population.of(accuracy, FIVE), 0
    for _ in range(simulations):
        true, common = population.draw(texts, draw)
        said, other = (np.where(draw.random(texts) < 0.5, common, population.answer(true, draw)) for _ in range(2))
        text = texts_of_rows(texts, has_copies, draw)
        count += test(true[text], said[text], other[text], text, draw) < 0.05
    return count / simulations


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nulls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help=f"of each; default: {SIMULATIONS:,}")
    simulations = parser.parse_args(arguments).simulations
    difference_module.RESAMPLES = 500  # a p of 0.05 is told well enough by as many
    began = time.process_time()
    cases = [(accuracy, texts) for accuracy in ACCURACIES for texts in ROWS]
    heads = [f"{accuracy}, {texts:,} texts" for accuracy, texts in cases]
    print(f"| % rejected: test | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 1)}")
    for name, (test, has_copies) in TESTS.items():
        found = [rejected(test, has_copies, accuracy, texts, simulations) for accuracy, texts in cases]
        print(f"| {name} | {' | '.join(f'{100 * share:.1f}' for share in found)} |", flush=True)
    by_chance = 100 * (0.05 * 0.95 / simulations) ** 0.5
    seconds = time.process_time() - began
    print(f"\n{simulations:,} simulations of each figure, standard error {by_chance:.1f}; {seconds:.0f} s of one core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
