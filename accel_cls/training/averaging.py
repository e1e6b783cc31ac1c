"""Weights averaged over updates: kept beside those that are trained, and put in their place to be judged and saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from accel_cls.checkpoints.checkpoint import load_average
from accel_cls.checkpoints.tensors import Tensors
from accel_cls.devices.prepare import require_whole_weights
from accel_cls.recipe import Recipe


class Average:
    """No average: what is judged are the trained weights themselves. What others do is told here, too."""

    def add_update(self, steps: int) -> None:
        """An update has changed the weights, as the `steps`-th one, counted from 1."""

    def add_evaluation(self) -> None:
        """The weights as they are were judged."""

    def judged(self) -> AbstractContextManager[None]:
        """Within it the model has the weights that an evaluation judges, and that are kept where they are best."""
        return nullcontext()

    def tried(self) -> AbstractContextManager[int]:
        """Within it the model has weights that are tried at the end only; of how many evaluations, 0 where of none."""
        return nullcontext(0)

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
    """

    def __init__(self, trained: Tensors, share: float):
        super().__init__(trained)
        self._share = share

    def judged(self) -> AbstractContextManager[None]:
        means = {
            name: torch.lerp(parameter.detach(), self._copy[name], self._share)
            for name, parameter in self._trained.items()
        }
        return _in_place_of(self._trained, means)


class _LastAverage(Average):
    """The mean of the weights at the last `count` evaluations, which wait in the host's memory."""

    def __init__(self, trained: Tensors, count: int):
        self._trained, self._count = trained, count
        self._kept: list[Tensors] = []  # the newest last

    def add_evaluation(self) -> None:
        weights = {name: parameter.detach().to("cpu", copy=True) for name, parameter in self._trained.items()}
        self._kept = [*self._kept, weights][-self._count :]

    @contextmanager
    def tried(self) -> Iterator[int]:
        if len(self._kept) < 2:  # the mean of one has been judged
            yield 0
            return
        means = {
            name: torch.stack([weights[name] for weights in self._kept]).mean(0).to(parameter.device)
            for name, parameter in self._trained.items()
        }
        with _in_place_of(self._trained, means):
            yield len(self._kept)

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
        UserError: where the hardware divides the weights.
    """
    chosen = recipe.average
    if chosen is None or recipe.model.is_fitted:
        return Average()
    require_whole_weights(accelerator, "average")
    trained: Tensors = {name: p for name, p in model.named_parameters() if p.requires_grad}
    average: Average
    if chosen.ema is not None:
        average = _ExponentialAverage(trained, chosen.ema)
    elif chosen.start is not None:
        average = _StartAverage(trained, chosen.start)
    else:
        assert chosen.last is not None
        average = _LastAverage(trained, chosen.last)
    if checkpoint is not None:
        average.load(load_average(checkpoint))
    return average
