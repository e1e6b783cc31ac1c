"""Weights averaged over updates: kept beside those that are trained, and put in their place to be judged and saved."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from accel_cls.checkpoints.checkpoint import load_average
from accel_cls.checkpoints.tensors import Tensors
from accel_cls.devices.prepare import has_whole_weights, require_whole_weights
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.average import Average as Section

START_SHARE = 0.5  # of `average.start: auto`; more or less gains as much on banking77, or as little elsewhere


@dataclass(frozen=True)
class Mean:
    """Averaged weights that are tried when a training has come to its end."""

    told: str  # the key of the recipe, and what it is
    facts: dict[str, Any]  # what metrics.jsonl says of it, see `RunFolder.kept_average`
    trained: Tensors
    weights: Callable[[], Tensors]  # makes them, on the device
    # Whether the weights before the first update are a part of it: then these have to be about as good as the best
    # evaluation, or there is nothing to add; and the mean, too. Another one must not be worse than that at all.
    has_start: bool = False

    def in_place(self) -> AbstractContextManager[None]:
        """Within it the model has these weights."""
        return _in_place_of(self.trained, self.weights())


class Average:
    """No average: what is judged are the trained weights themselves. What others do is told here, too."""

    def add_update(self, steps: int) -> None:
        """An update has changed the weights, as the `steps`-th one, counted from 1."""

    def add_evaluation(self) -> None:
        """The weights as they are were judged."""

    def judged(self) -> AbstractContextManager[None]:
        """Within it the model has the weights that an evaluation judges, and that are kept where they are best."""
        return nullcontext()

    def at_end(self) -> Mean | None:
        """What is tried at the end only."""
        return None

    def tensors(self) -> Tensors:
        """What a checkpoint has to hold, by name. It changes only after an optimizer's step."""
        return {}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from what a checkpoint held."""


class _CopyAverage(Average):
    """An average that keeps a copy of the weights beside those that are trained; at first it is equal to them."""

    def __init__(self, trained: Tensors):
        self._trained = trained
        self._copy = {name: parameter.detach().clone() for name, parameter in trained.items()}

    def tensors(self) -> Tensors:
        return dict(self._copy)

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        assert tensors.keys() == self._copy.keys()
        for name, tensor in self._copy.items():
            tensor.copy_(tensors[name])


class _ExponentialAverage(_CopyAverage):
    """Of the weights w_k after update k the mean m_k = m_{k-1} + (1 - d) / (1 - d^k) × (w_k - m_{k-1}).

    That is the exponential moving average from 0 with its bias corrected (Kingma and Ba 2015, section 7.2): m_1 is
    w_1. One that begins with the weights before training would hold on to 0.999^900 = 41% of them after 900 updates,
    the head's random ones included.
    """

    def __init__(self, trained: Tensors, decay: float):
        super().__init__(trained)
        self._decay = decay

    @torch.no_grad()
    def add_update(self, steps: int) -> None:
        weight = (1 - self._decay) / (1 - self._decay**steps)
        torch._foreach_lerp_([*self._copy.values()], [p.detach() for p in self._trained.values()], weight)

    def judged(self) -> AbstractContextManager[None]:
        return _in_place_of(self._trained, self._copy)


class _StartAverage(_CopyAverage):
    """A mean of the weights and of those before the first update: WiSE-FT (Wortsman et al. 2022).

    What an encoder and a head fitted to it know before a fine-tuning bends them is partly lost by it. Both models lie
    in one valley, and where each knows what the other does not, one between them is better than either.

    Args:
        share: how much those before the first update count; None: what is judged at the end says whether they do.
    """

    def __init__(self, trained: Tensors, share: float | None):
        super().__init__(trained)
        self._share = share

    def judged(self) -> AbstractContextManager[None]:
        return nullcontext() if self._share is None else _in_place_of(self._trained, self._mean(self._share))

    def at_end(self) -> Mean | None:
        if self._share is not None:
            return None
        told = "average.start: the mean with the weights before the first update"
        facts, weights = {"averaged": 1, "start_share": START_SHARE}, functools.partial(self._mean, START_SHARE)
        return Mean(told, facts, self._trained, weights, has_start=True)

    def _mean(self, share: float) -> Tensors:
        return {
            name: torch.lerp(parameter.detach(), self._copy[name], share) for name, parameter in self._trained.items()
        }


class _LastAverage(Average):
    """The mean of the weights at the last `count` evaluations, which wait in the host's memory."""

    def __init__(self, trained: Tensors, count: int):
        self._trained, self._count = trained, count
        self._kept: list[Tensors] = []  # the newest last

    def add_evaluation(self) -> None:
        weights = {name: parameter.detach().to("cpu", copy=True) for name, parameter in self._trained.items()}
        self._kept = [*self._kept, weights][-self._count :]

    def at_end(self) -> Mean | None:
        count = len(self._kept)
        if count < 2:  # the mean of one has been judged
            return None
        told = f"average.last: the mean of the weights at {count} evaluations"
        return Mean(told, {"averaged": count}, self._trained, self._mean)

    def _mean(self) -> Tensors:
        return {
            name: torch.stack([weights[name] for weights in self._kept]).mean(0).to(parameter.device)
            for name, parameter in self._trained.items()
        }

    def tensors(self) -> Tensors:
        return {f"{at}/{name}": tensor for at, one in enumerate(self._kept) for name, tensor in one.items()}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._kept = [
            {name: tensors[f"{at}/{name}"] for name in self._trained}
            for at in range(len(tensors) // len(self._trained))
        ]


@contextmanager
def _in_place_of(trained: Tensors, others: Tensors) -> Iterator[None]:
    """Within it parameters have other values. Memory changes hands, and no value moves.

    So a checkpoint that is being written from where the trained weights lie stays right.
    """

    def exchange() -> None:
        for name, parameter in trained.items():
            parameter.data, others[name] = others[name], parameter.data

    exchange()
    try:
        yield
    finally:
        exchange()


def make_average(
    recipe: Recipe, model: PreTrainedModel, accelerator: Accelerator, checkpoint: Path | None = None
) -> Average:
    """What the recipe averages, of a model on its device, as a checkpoint has it where the run goes on from one.

    Raises:
        UserError: where the hardware divides the weights, but the recipe does not leave it to us.
    """
    chosen = _made_here(recipe, accelerator)
    if chosen is None:
        return Average()
    require_whole_weights(accelerator, "average")
    trained: Tensors = {name: p for name, p in model.named_parameters() if p.requires_grad}
    average: Average
    if chosen.ema is not None:
        average = _ExponentialAverage(trained, chosen.ema)
    elif chosen.start is not None:
        average = _StartAverage(trained, None if chosen.start == "auto" else chosen.start)
    else:
        assert chosen.last is not None
        average = _LastAverage(trained, chosen.last)
    if checkpoint is not None:
        average.load(load_average(checkpoint))
    return average


def describe_average(recipe: Recipe, accelerator: Accelerator) -> list[tuple[str, str]]:
    """What a recipe averages on this hardware, as a named line of the banner; none where nothing."""
    chosen = _made_here(recipe, accelerator)
    if chosen is None:
        return []
    if chosen.last is not None:
        told = f"at the end the mean of the weights at {chosen.last} evaluations, kept where none of them was better"
    elif chosen.start == "auto":
        told = "at the end the mean with the weights before the first update, kept where both are about as good"
    elif chosen.start is not None:
        told = f"judged and kept is a mean in which the weights before the first update count {chosen.start:g}"
    else:
        told = f"judged and kept is an exponential moving average of the weights, by {chosen.ema:g}"
    return [("average", told)]


def _made_here(recipe: Recipe, accelerator: Accelerator) -> Section | None:
    """What is averaged on this hardware; None where nothing is."""
    return None if recipe.model.is_fitted or untried_average(recipe, accelerator) else recipe.average


def untried_average(recipe: Recipe, accelerator: Accelerator) -> list[str]:
    """That `average.start: auto` averages nothing on this hardware, and why, as a note; none where it does."""
    if recipe.average is None or recipe.average.start != "auto" or has_whole_weights(accelerator):
        return []
    divided = accelerator.distributed_type.value
    return [f"average.start is auto, but no mean is tried: with {divided} no process has all weights"]
