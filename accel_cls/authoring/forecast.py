"""What a training will take, from arithmetic alone: updates, tokens, learning rate, memory, disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from accel_cls.authoring.speed import Speed, speed_of
from accel_cls.batching.plan import MicroBatchStats, Plan
from accel_cls.console import duration
from accel_cls.memory.activations import activation_bytes
from accel_cls.memory.estimate import estimate_micro_batch_tokens
from accel_cls.memory.forecast import (
    TrainingMemory,
    averaged_copies,
    format_bytes,
    trained_bytes,
    training_memory,
    weight_bytes,
)
from accel_cls.memory.setup import ParallelSetup
from accel_cls.memory.sizes import with_micro_batch_tokens
from accel_cls.models.adapters import adapter_bytes
from accel_cls.models.packing import can_pack, make_packable
from accel_cls.profiles import find_profile
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.keys import RATE
from accel_cls.tuning.expected import expected_rate

_BLOCKS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "activations can't be told for this family of models"


@dataclass(frozen=True)
class Forecast:
    """The plan of a recipe in numbers."""

    plan: Plan
    processes: int
    cutting: MicroBatchStats
    tokens_from: str  # where train.micro_batch_tokens is from: "recipe", or what `auto` was resolved by
    memory: TrainingMemory  # of the most demanding micro-batch
    checkpoint: int  # bytes of one
    model: int  # bytes of the saved model
    kept: int  # checkpoints at the end, at most, a refit's included
    rate_from: str = ""  # what train.learning_rate: auto was resolved by; "" where the recipe has a number
    speed: Speed | None = None  # of an earlier training of this kind; None: not known
    runs: int = 1  # such trainings that the recipe asks for
    models: int = 1  # that are saved: with a refit two

    @property
    def disk(self) -> int:
        """Bytes of a finished run's checkpoints and models, at most."""
        return self.kept * self.checkpoint + self.models * self.model

    @property
    def disk_peak(self) -> int:
        """Bytes while the run goes on, at most: what is new is written beside what it replaces."""
        return self.disk + self.checkpoint + self.model

    def lines(self, recipe: Recipe) -> list[tuple[str, str]]:
        """Name and text of each line that a person reads."""
        plan, memory = self.plan, self.memory
        lines = plan.describe(recipe, self.processes)
        if recipe.model.is_fitted:
            return [
                *lines,
                ("disk", f"the model {format_bytes(self.model)}, a checkpoint as much"),
                *self._repeats(recipe),
            ]
        real = plan.tokens_per_epoch
        padded = real / (1 - self.cutting.padding)
        tokens = f"{real:,} an epoch, about {padded:,.0f} with padding; {_tokens_of(plan):,} in all"
        lines.insert(3, ("tokens", tokens))
        if self.processes > 1:
            busy = f"{self.cutting.busy:.0%} of the time; the rest they wait for the longest micro-batch of a round"
            lines.insert(4, (f"{self.processes} processes", f"busy {busy}"))
        lines.insert(2, ("", f"{self._curve()}  {self._rates()}"))
        if self.rate_from:
            lines.insert(2, ("", f"train.learning_rate: auto → {plan.learning_rate:g}, {self.rate_from}"))
        if self.tokens_from != "recipe":
            auto = f"train.micro_batch_tokens: auto → {plan.layout.tokens:,}, {self.tokens_from}"
            lines.insert(4, ("", auto))
        lines.append(("time", self._time()))
        known = f"{memory} a process" if memory.total is not None else f"{memory}; {_UNKNOWN}"
        in_fp32 = ", activations in fp32" if memory.total is not None else ""
        lines.append(("memory", f"{known}{in_fp32}, besides what torch takes for itself"))
        lines.append(
            (
                "disk",
                f"a checkpoint {format_bytes(self.checkpoint)}, the model {format_bytes(self.model)}; up to "
                f"{format_bytes(self.disk)} with {self.kept} checkpoints, {format_bytes(self.disk_peak)} while new "
                "ones are written",
            )
        )
        return [*lines, *self._repeats(recipe)]

    def _repeats(self, recipe: Recipe) -> list[tuple[str, str]]:
        """What all runs take that the recipe asks for; of one run nothing."""
        if self.runs == 1:
            return []
        time = "" if self.seconds is None else f"about {duration(self.runs * self.seconds)} and "
        if recipe.search is not None:
            kept = f"up to {format_bytes(2 * self.disk)} of disk"
            return [
                ("search", f"{self.runs} trials, {time}{kept}: the best so far and the one that trains keep weights")
            ]
        return [("repeat", f"{self.runs} such runs, {time}up to {format_bytes(self.runs * self.disk)} of disk in all")]

    @property
    def seconds(self) -> float | None:
        """What the updates will take, without evaluations and checkpoints; None where that is not known."""
        return None if self.speed is None else _examples_of(self.plan) / self.speed.examples_per_second

    def _time(self) -> str:
        if self.speed is None or self.seconds is None:
            return "not known before such a model has trained here; told while it trains, and by accel-cls profile"
        speed = f"{self.speed.examples_per_second:,.0f} examples/s, as in {self.speed.where}"
        return f"about {duration(self.seconds)} at {speed}; evaluations and checkpoints besides"

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        plan = self.plan
        cutting = asdict(self.cutting)
        cutting["shapes"] = sorted(self.cutting.shapes)
        return {
            "updates": plan.updates,
            "scheduled_updates": plan.scheduled_updates,
            "updates_per_epoch": plan.updates_per_epoch,
            "warmup_updates": plan.warmup_updates,
            "processes": self.processes,
            "micro_batch_tokens": plan.layout.tokens,
            "micro_batch_tokens_from": self.tokens_from,
            "tokens_per_epoch": plan.tokens_per_epoch,
            "cutting": cutting,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "learning_rate_from": self.rate_from or "recipe",
            "learning_rate": [{"update": k + 1, "rate": plan.rate(k)} for k in self._points(21)],
            "memory_bytes": self.memory.as_json(),
            "checkpoint_bytes": self.checkpoint,
            "model_bytes": self.model,
            "checkpoints_kept": self.kept,
            "disk_bytes": self.disk,
            "disk_peak_bytes": self.disk_peak,
            "runs": self.runs,
        }

    def _points(self, count: int) -> list[int]:
        """Updates, from 0, evenly over what the run makes of its schedule."""
        last = self.plan.updates - 1
        return sorted({round(i * last / (count - 1)) for i in range(count)})

    def _curve(self) -> str:
        rates = [self.plan.rate(k) / self.plan.learning_rate for k in self._points(40)]
        return "".join(_BLOCKS[min(len(_BLOCKS) - 1, int(rate * len(_BLOCKS)))] for rate in rates)

    def _rates(self) -> str:
        return ", ".join(f"update {k + 1:,}: {self.plan.rate(k):.2g}" for k in self._points(5))


def forecast(
    recipe: Recipe,
    lengths: np.ndarray,
    outline: PreTrainedModel,
    processes: int | None,
    data: str = "",
    runs: int = 1,
    windows: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    pairs: np.ndarray | None = None,
) -> Forecast:
    """Forecast a training.

    Args:
        recipe: the recipe.
        lengths: tokens of each training example.
        outline: its model on the meta device, see `outline_model`.
        processes: how many; None for what the recipe's profile says, or 1.
        data: the corpus's digest, by which what a search has found is known again.
        runs: how many such trainings are asked for.
        windows: of each training example; None where each has one.
        classes: of each training example, for train.sampling: balanced; see `ClassesAlike`.
        pairs: int64 [examples, 2]: which training texts are in each example, of a recipe that learns from pairs.

    Raises:
        UserError: where the plan contradicts itself.
    """
    profile = find_profile(recipe.hardware)
    processes = processes or (profile.processes if profile is not None else 1)
    setup = ParallelSetup.expected(profile, processes)
    is_xla = setup.strategy == "XLA"
    tokens_from, rate_from = "recipe", ""
    if recipe.train.learning_rate == "auto":
        rate, rate_from = expected_rate(recipe, data)
        recipe = with_values(recipe, {RATE: rate})
    packed = recipe.train.packing and can_pack(outline.config) and not is_xla
    if packed:
        make_packable(outline)
    if recipe.train.micro_batch_tokens == "auto":
        tokens, tokens_from = estimate_micro_batch_tokens(recipe, lengths, outline, setup, windows)
        recipe = with_micro_batch_tokens(recipe, tokens)
    plan = Plan.of(recipe, lengths, few_shapes=is_xla, packed=packed, windows=windows, classes=classes, pairs=pairs)
    cutting = plan.micro_batch_stats(processes)
    shapes = _filled_up(plan, cutting.shapes) if is_xla else cutting.shapes
    checkpoint, model = _saved_bytes(recipe, outline)
    return Forecast(
        plan=plan,
        processes=processes,
        cutting=cutting,
        tokens_from=tokens_from,
        memory=_most_demanding(outline, setup, shapes, averaged_copies(recipe, setup.device), recipe.loss.kept_passes),
        checkpoint=checkpoint,
        model=model,
        kept=recipe.checkpoint.keep + 1 + recipe.is_refitted,  # and the best
        rate_from=rate_from,
        speed=speed_of(recipe),
        runs=runs,
        models=1 + recipe.is_refitted,
    )


def _saved_bytes(recipe: Recipe, outline: PreTrainedModel) -> tuple[int, int]:
    """Bytes of a checkpoint, and of the saved model."""
    all_buffers = dict(outline.named_buffers())
    buffers = sum(value.nbytes for name, value in outline.state_dict().items() if name in all_buffers)  # those saved
    weights = weight_bytes(outline)
    checkpoint = weights + (2 + averaged_copies(recipe)) * trained_bytes(outline) + buffers
    return checkpoint, weights - adapter_bytes(outline) + buffers


def _filled_up(plan: Plan, shapes: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """The shapes of micro-batches whose rows are filled up to a fixed number, as `Batches` does on XLA."""
    return {(min(plan.layout.tokens // width, plan.batch_size), width) for _, width in shapes}


def _most_demanding(
    outline: PreTrainedModel, setup: ParallelSetup, shapes: Iterable[tuple[int, int]], copies: int, passes: int
) -> TrainingMemory:
    """The memory that the most demanding micro-batch needs, of these shapes (rows, width)."""
    # What is saved grows with the tokens, and with tokens × width: one of these two is the largest.
    candidates = {max(shapes, key=lambda s: s[0] * s[1]), max(shapes, key=lambda s: s[0] * s[1] ** 2)}
    needed = [
        training_memory(outline, setup, shape, activation_bytes(outline, *shape), copies, passes)
        for shape in sorted(candidates)
    ]
    return max(needed, key=lambda memory: memory.activations or 0)


def _examples_of(plan: Plan) -> int:
    """Examples of all updates that the run makes."""
    epochs, updates = divmod(plan.updates, plan.updates_per_epoch)
    return epochs * len(plan.lengths) + min(updates * plan.batch_size, len(plan.lengths))


def _tokens_of(plan: Plan) -> int:
    """Tokens of the examples of all updates that the run makes, padding not included."""
    epochs, updates = divmod(plan.updates, plan.updates_per_epoch)
    first = epochs * plan.updates_per_epoch
    rest = sum(int(plan.lengths[plan.examples(first + k)].sum()) for k in range(updates))
    return epochs * plan.tokens_per_epoch + rest
