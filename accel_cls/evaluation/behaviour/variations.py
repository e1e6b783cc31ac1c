"""Texts of a sample, each changed in every way, and how a model's answers to them differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from accel_cls.data.examples import Examples
from accel_cls.data.texts import Texts
from accel_cls.evaluation.behaviour.transformations import TRANSFORMATIONS, Expected, Transformation
from accel_cls.evaluation.statistics.mean_interval import mean_interval
from accel_cls.tasks import Task
from accel_cls.wording.languages import languages_of

_SHOWN = 3  # changed texts of each way, those whose answers are farthest from what is expected


@dataclass(frozen=True)
class Variation:
    """One text, changed."""

    transformation: Transformation
    original: int  # its place in the sample
    text: str


@dataclass(frozen=True)
class Variations:
    """A sample of examples, and all changed texts that differ from it."""

    sample: Examples
    changed: tuple[Variation, ...]

    def examples(self) -> Examples:
        """The sample, and after it the changed texts with the labels and other texts of their originals."""
        originals = np.array([one.original for one in self.changed], np.int64)
        both = self.sample.select(np.concatenate([np.arange(len(self.sample)), originals]))
        first, *others = both.texts.column_names
        texts = {first: [*self.sample.texts[first][:], *(one.text for one in self.changed)]}
        return Examples(Texts.of(texts | {name: both.texts[name][:] for name in others}), both.labels, both.rows)


def vary(examples: Examples, count: int, seed: int) -> Variations:
    """Draw some examples, of different texts, and change each in every way that changes its text; of pairs the first.

    The same for the same examples, on every process.
    """
    order = np.random.default_rng(seed).permutation(len(examples))
    texts = examples.texts[examples.texts.column_names[0]]
    drawn = list({texts[i]: int(i) for i in order}.values())
    sample = examples.select(np.sort(np.array(drawn, np.int64)[:count]))
    originals = sample.texts[sample.texts.column_names[0]]
    changed = []
    for i, (text, language) in enumerate(zip(originals, languages_of(originals), strict=True)):
        for transformation in TRANSFORMATIONS:
            draw = Random(f"{seed} {transformation.name} {sample.rows[i]}")
            other = transformation.apply(text, language, draw)
            if other != text and other.strip():
                changed.append(Variation(transformation, i, other))
    return Variations(sample, tuple(changed))


def behaviour_results(variations: Variations, logits: np.ndarray, task: Task, names: Sequence[str]) -> dict[str, Any]:
    """How often answers differ from those to the original texts, by way of changing them, for programs.

    Args:
        variations: what the model was asked.
        logits: its answers to `variations.examples()`.
        task: what was learned: it says whether two answers are the same, or how far they are apart.
        names: of the classes.
    """
    decoded, count = task.decode(logits), len(variations.sample)
    originals = np.array([one.original for one in variations.changed], np.int64)
    same = task.row_scores(decoded.predicted[originals], decoded.predicted[count:])
    is_share = same.dtype == bool
    differences = 1 - same.astype(np.float64) if is_share else -same
    apart = np.abs(decoded.probabilities[count:] - decoded.probabilities[originals]).max(1, initial=0.0)
    words = [_in_words(one, task, names) for one in decoded.predicted]
    texts = variations.sample.texts[variations.sample.texts.column_names[0]]

    def shown(i: int) -> dict[str, Any]:
        return {
            "row": variations.sample.rows[originals[i]],
            "text": texts[originals[i]],
            "changed": variations.changed[i].text,
            "predicted": words[originals[i]],
            "predicted_changed": words[count + i],
            "probability_change": round(float(apart[i]), 6),
        }

    tests = []
    for transformation in TRANSFORMATIONS:
        own = [i for i, one in enumerate(variations.changed) if one.transformation is transformation]
        if own:
            low, high = mean_interval(differences[own] > 0 if is_share else differences[own])
            worst = _worst(own, differences, apart, transformation.expected)
            tests.append(
                {
                    "name": transformation.name,
                    "expected": transformation.expected,
                    "texts": len(own),
                    "differ": float(differences[own].mean()),
                    "interval": [round(low, 6), round(high, 6)],
                    "examples": [shown(i) for i in worst],
                }
            )
    kind = "labels that differ" if is_share else "mean absolute difference"
    return {"texts": count, "measure": kind, "tests": tests}


def _worst(own: Sequence[int], differences: np.ndarray, apart: np.ndarray, expected: Expected) -> list[int]:
    """Those that differ most; where they are expected to differ, least."""
    sign = 1 if expected == "opposite" else -1
    return sorted(own, key=lambda i: (sign * differences[i], sign * apart[i], i))[:_SHOWN]


def _in_words(predicted: Any, task: Task, names: Sequence[str]) -> str:
    return ", ".join(task.named(predicted, names)) or "none"
