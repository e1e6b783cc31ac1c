"""What is made of a model's logits besides its plain predictions: a temperature, decisions, prediction sets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_cls.tasks import Task


@dataclass(frozen=True)
class Answered:
    """What is said of examples."""

    probabilities: np.ndarray  # float64 [examples, classes], of calibrated logits
    predicted: np.ndarray  # the model's own predictions, in the form of the task's encoded labels
    decided: np.ndarray | None  # bool [examples, classes]; None without rules
    sets: np.ndarray | None  # likewise, the classes of each prediction set

    def named(self, i: int, names: Sequence[str]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """What is decided of one example, and its set, the likeliest class first; None where no rule makes it."""
        decided, sets = (
            None if mask is None else self._names_of(mask[i], i, names) for mask in (self.decided, self.sets)
        )
        return decided, sets

    def _names_of(self, mask: np.ndarray, i: int, names: Sequence[str]) -> tuple[str, ...]:
        p = self.probabilities[i]
        return tuple(names[at] for at in sorted(np.flatnonzero(mask).tolist(), key=lambda at: -p[at]))


@dataclass(frozen=True)
class Postprocessing:
    """Fitted at a run's end, saved with its model, applied by predict."""

    temperature: tuple[float, ...] = (1.0,)  # by which logits are divided, one number or one for each class
    thresholds: tuple[float, ...] | None = None  # by class: from which probability on it is decided for
    sets_from: float | None = None  # from which probability on a class is in a set, where the likeliest always is

    @property
    def columns(self) -> list[str]:
        """What predictions have besides."""
        named = (("decision", self.thresholds), ("set", self.sets_from))
        return [name for name, rule in named if rule is not None]

    @property
    def is_plain(self) -> bool:
        """Whether nothing is done."""
        return self == PLAIN

    def answer(self, task: Task, logits: np.ndarray) -> Answered:
        """Probabilities, predictions and decisions of logits, float32 [examples, outputs]."""
        decoded = task.decode(logits / np.array(self.temperature))  # in float64, where two logits keep their order
        p, predicted = decoded.probabilities, task.decode(logits).predicted
        decided = None if self.thresholds is None else decide(p, predicted, np.array(self.thresholds))
        sets = None if self.sets_from is None else prediction_sets(p, self.sets_from)
        return Answered(p, predicted, decided, sets)

    def as_json(self, names: Sequence[str]) -> dict[str, Any]:
        """As a model's config.json has it; what is not there is not done."""

        def by_class(values: Sequence[float]) -> dict[str, float]:
            return dict(zip(names, values, strict=True))

        made: dict[str, Any] = {}
        if any(one != 1 for one in self.temperature):
            made["temperature"] = self.temperature[0] if len(self.temperature) == 1 else by_class(self.temperature)
        if self.thresholds is not None:
            made["thresholds"] = by_class(self.thresholds)
        if self.sets_from is not None:
            made["sets_from"] = self.sets_from
        return made

    @classmethod
    def from_json(cls, made: Mapping[str, Any], names: Sequence[str]) -> Postprocessing:
        """What `as_json` has made, by the names of the classes.

        Raises:
            ValueError: for anything else.
        """

        def by_class(what: str) -> tuple[float, ...]:
            values = made[what]
            if not isinstance(values, dict) or {*values} != {*names}:
                raise ValueError(f"{what} is not a number for each class")
            return tuple(_number(what, values[name]) for name in names)

        temperature: tuple[float, ...] = (1.0,)
        thresholds = None
        if "temperature" in made:
            one = made["temperature"]
            temperature = by_class("temperature") if isinstance(one, dict) else (_number("temperature", one),)
            if min(temperature) <= 0:
                raise ValueError("temperature is not above 0")
        if "thresholds" in made:
            thresholds = by_class("thresholds")
        sets_from = _number("sets_from", made["sets_from"]) if "sets_from" in made else None
        return cls(temperature, thresholds, sets_from)


PLAIN = Postprocessing()


def decision_entries(
    task: Task, decision: Sequence[str] | None, prediction_set: Sequence[str] | None
) -> dict[str, str | list[str] | None]:
    """One example's decision and set under `Postprocessing.columns`, for programs."""
    made: dict[str, str | list[str] | None] = {}
    if decision is not None:
        made["decision"] = task.as_decision(decision)
    if prediction_set is not None:
        made["set"] = list(prediction_set)
    return made


def decision_cells(task: Task, decision: Sequence[str] | None, prediction_set: Sequence[str] | None) -> list[str]:
    """The same as cells: lists in JSON, and nothing where a rule abstains."""
    entries = decision_entries(task, decision, prediction_set).values()
    texts = (json.dumps(one, ensure_ascii=False) if isinstance(one, list) else one for one in entries)
    return [text or "" for text in texts]


def decide(probabilities: np.ndarray, predicted: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which classes are decided for, bool [examples, classes]: of one class a text, the likeliest or none.

    Args:
        probabilities: float64 [examples, classes].
        predicted: class ids, or 0 and 1 [examples, classes] where each class is a decision of its own.
        thresholds: float64 [classes].
    """
    return candidates_of(predicted, probabilities.shape[1]) & (probabilities >= thresholds)


def candidates_of(predicted: np.ndarray, classes: int) -> np.ndarray:
    """Which classes may be decided for, bool [examples, classes]: of one class a text, the predicted one."""
    if predicted.ndim == 2:
        return np.ones(predicted.shape, bool)
    return predicted[:, None] == np.arange(classes)


def prediction_sets(probabilities: np.ndarray, sets_from: float) -> np.ndarray:
    """The classes from a probability on, and always the likeliest: bool [examples, classes]."""
    sets = probabilities >= sets_from
    sets[np.arange(len(sets)), probabilities.argmax(1)] = True
    return sets


def _number(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{what} is no number")
    return float(value)
