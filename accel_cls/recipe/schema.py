"""The recipe: its sections, which with it are the only source of truth for every key, and which keys are paths."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from accel_cls.recipe.metrics import DISTANCE_METRICS, Task
from accel_cls.recipe.section import Section, setting
from accel_cls.recipe.sections.augment import Augment
from accel_cls.recipe.sections.average import Average
from accel_cls.recipe.sections.checkpoint import Checkpoint
from accel_cls.recipe.sections.data import Data
from accel_cls.recipe.sections.decide import Decide
from accel_cls.recipe.sections.distill import Distill
from accel_cls.recipe.sections.evaluate import Evaluate
from accel_cls.recipe.sections.few_shot import FewShot
from accel_cls.recipe.sections.loss import Loss
from accel_cls.recipe.sections.model import Model
from accel_cls.recipe.sections.pretrain import Pretrain
from accel_cls.recipe.sections.repeat import Repeat
from accel_cls.recipe.sections.search import Search
from accel_cls.recipe.sections.train import Train

# How the strings under these keys become paths: "input" is relative to the recipe that says it (on the
# command line: to the current folder), "output" always to the current folder, and "input or name" is an
# input path only where such a file or folder exists, where the folder exists that it would lie in (models/x), or where
# it is written like a path (./x, ../x, /x, ~/x, models\x).
PATHS: dict[tuple[str, ...], Literal["input", "output", "input or name"]] = {
    ("output",): "output",
    ("hardware",): "input or name",
    ("data", "train"): "input",
    ("data", "validation"): "input",
    ("data", "test"): "input",
    ("data", "train", "hub"): "input or name",
    ("data", "validation", "hub"): "input or name",
    ("data", "test", "hub"): "input or name",
    ("model", "name"): "input or name",
    ("distill", "teacher"): "input",
    ("distill", "texts"): "input",
    ("pretrain", "texts"): "input",
}


class Recipe(Section):
    """One YAML file: data, model, training, evaluation, hardware profile, output."""

    name: str = setting(..., "a short name", "what the run is called", min_length=1)
    seed: int = setting(
        42,
        "a whole number from 0 to 4294967295",
        "fixes split, order, start and dropout",
        "numpy and torch seed with 32 bits",
        ge=0,
        lt=2**32,
    )
    task: Task = setting(
        "single_label",
        "'single_label', 'multi_label', 'ordinal' or 'regression'",
        "whether a text has exactly one class, any number of them, one of several in an order, such as stars, or a "
        "number",
    )
    hardware: str = setting(
        "auto",
        "a profile's name, a profile's path, 'default' or 'auto'",
        "the profile that must be in force; 'default' is what `accelerate config` wrote, 'auto' takes any",
    )
    output: str = setting(..., "a folder", "the run folder; relative to the current folder", min_length=1)
    data: Data = setting(..., "a mapping", "training, validation and test data")
    model: Model = setting(Model(), "a mapping", "what is trained")
    pretrain: Pretrain | None = setting(
        None,
        "a mapping of texts, judged, epochs, learning_rate, mask, whole_words",
        "how the encoder is trained on texts before, by a command of its own",
    )
    train: Train = setting(Train(), "a mapping", "how it is trained")
    augment: Augment | None = setting(
        None,
        "a mapping, {copies: 1, edits: [delete, swap], share: 0.1}",
        "changed copies of the training texts, which are learned, too",
    )
    loss: Loss = setting(Loss(), "a mapping", "what is minimized")
    distill: Distill | None = setting(
        None, "a mapping of teacher, temperature, weight, texts", "a finished model that teaches this one"
    )
    average: Average | None = setting(
        None,
        "a mapping, {ema: 0.999}, {last: 3} or {start: auto}",
        "a mean of the weights at several times, as what is kept",
    )
    evaluate: Evaluate = setting(Evaluate(), "a mapping", "how it is evaluated")
    decide: Decide | None = setting(
        None,
        "a mapping of precision, accuracy, abstain_below, threshold, coverage",
        "by which rules answers become decisions",
    )
    checkpoint: Checkpoint = setting(Checkpoint(), "a mapping", "how a run can be continued")
    refit: bool = setting(
        False,
        "true or false",
        "in the end train once more, on the validation examples, too, for as long as they have said is best",
    )
    repeat: Repeat | None = setting(
        None, "a mapping, {seeds: 5} or {folds: 5}", "how often it is trained, to tell chance from what is learned"
    )
    few_shot: FewShot | None = setting(
        None, "a mapping of examples, pairs", "how a few labelled texts of each class are learned from"
    )
    search: Search | None = setting(
        None,
        "a mapping, {trials: 20, over: {train.learning_rate: {from: 1e-5, to: 1e-3, log: true}}}",
        "which values are searched for, by trials",
    )

    @property
    def is_refitted(self) -> bool:
        """Whether a training of it trains once more in the end; one of several that are compared does not."""
        several = self.repeat is not None or self.search is not None or self.data.fold is not None
        return self.refit and not several and (self.few_shot is None or self.few_shot.examples is None)

    @property
    def learns_from_pairs(self) -> bool:
        """Whether what updates are made of are pairs of training texts, not the texts themselves."""
        return self.few_shot is not None and self.few_shot.pairs > 0

    @property
    def judges_fitted_head(self) -> bool:
        """Whether a fitted head, which may be hard to beat, is judged before the first update; not where the last
        weights are asked for."""
        return self.train.head_init == "probe" and self.evaluate.every != "end"

    @model_validator(mode="before")
    @classmethod
    def _evaluate_by_task(cls, values: Any) -> Any:
        """Give tasks whose labels have distances the metrics of distances where nothing is said of metrics."""
        task = values.get("task") if isinstance(values, dict) else None
        metrics = DISTANCE_METRICS.get(task) if isinstance(task, str) else None
        evaluate = values.get("evaluate", {}) if metrics else None
        if metrics and isinstance(evaluate, dict):
            return {**values, "evaluate": {"metrics": [*metrics], "best": metrics[0], **evaluate}}
        return values
