"""Updates as CUDA graphs: a whole one where it is one micro-batch of one process, else its passes and its step.

The update is the loop's own (`loop.make_update`): the same micro-batches, seeds, losses, clipping and step. What
differs is that all shapes are among a few, that nothing waits for the device, and that each process sums gradients
over the others in one go, after its last backward pass, in place of DistributedDataParallel. Without a capture, by
`train.cuda_graphs: false` or on a CPU, the same functions are called: on one device the bits are the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from accel_cls.batching.batches import Batch, Batches
from accel_cls.batching.layout import MicroBatch, share
from accel_cls.batching.plan import seed_of
from accel_cls.batching.static_batches import static_arrays, static_batch
from accel_cls.batching.static_shapes import StaticShape, shape_for
from accel_cls.devices.cuda.graphs import Call, Recorder
from accel_cls.devices.cuda.static_tensors import StaticTensors
from accel_cls.devices.low_precision import LowPrecisionWeights
from accel_cls.devices.prepare import inner_optimizer, seed_generators, sum_over_processes
from accel_cls.errors import UserError
from accel_cls.models.compiling import without_compiling
from accel_cls.training.objective import MicroBatchLoss, Supervised
from accel_cls.training.optimizer import clip_gradient, rates_on_device, set_rate, take_no_step
from accel_cls.training.spans import span
from accel_cls.training.training import Training

_WEIGHT, _RATES = "weight", "rates"

# Forward and backward pass of what lies in a slot; see `_passes`.
_Passes = Callable[[], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class _Slot:
    """What a micro-batch of one shape is put into, and what is then done with it."""

    shape: StaticShape
    static: StaticTensors

    def batch(self) -> Batch:
        """What lies in it. Made anew for each pass: what follows from the tensors is worked out within the pass."""
        tensors = {name: tensor for name, tensor in self.static.tensors.items() if name not in (_WEIGHT, _RATES)}
        return static_batch(tensors, self.shape)

    @property
    def weight(self) -> torch.Tensor:
        """The update's, float32 scalar."""
        return self.static.tensors[_WEIGHT]

    @property
    def rates(self) -> torch.Tensor:
        """Of the optimizer's groups, float32 [groups]."""
        return self.static.tensors[_RATES]


@dataclass(frozen=True)
class _FlatGradients:
    """The gradients of some parameters one after the other in one tensor, with a view for each of them."""

    flat: torch.Tensor
    parameters: tuple[torch.nn.Parameter, ...]
    views: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, parameters: Sequence[torch.nn.Parameter]) -> _FlatGradients:
        """Zeros for parameters of one dtype."""
        sizes = [parameter.numel() for parameter in parameters]
        flat = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=parameters[0].device)
        views = (part.view(p.shape) for part, p in zip(flat.split(sizes), parameters, strict=True))
        return cls(flat, tuple(parameters), tuple(views))


class StaticUpdates:
    """Makes the updates of one training; `make` takes the place of `loop.make_update`.

    Args:
        shapes: of its micro-batches.
        captures: whether updates become CUDA graphs.
        required: whether it is an error where they can't.
    """

    def __init__(self, shapes: tuple[StaticShape, ...], captures: bool, required: bool):
        self._shapes, self._captures, self._required = shapes, captures, required
        self._slots: dict[StaticShape, _Slot] = {}
        self._calls: dict[tuple[str, StaticShape | None], Call] = {}
        self._recorder: Recorder | None = None
        self._gradients: list[_FlatGradients] | None = None  # of several passes, added up; None until it is needed
        self._low: LowPrecisionWeights | None = None  # None until there is a model
        self._rates: StaticTensors | None = None  # of a step by these

    @property
    def is_recorded(self) -> bool:
        """Whether each shape has been met, and what is done with it recorded."""
        return len(self._slots) == len(self._shapes)

    def make(self, t: Training, update: int, rate: float) -> tuple[list[MicroBatchLoss], torch.Tensor]:
        """One update, counted from 0; see `loop.make_update`."""
        processes = t.accelerator.num_processes
        set_rate(t.optimizer, rate)
        with span("data"):
            micro_batches = t.plan.micro_batches(update, processes)
            # No pass is a collective operation here: who has nothing to do does nothing.
            mine = [one for one in share(micro_batches, t.accelerator.process_index, processes) if one[1].examples]
            weight = t.objective.weight(t.plan.examples(update))
        is_whole = len(micro_batches) == processes == 1
        done = []
        for index, part in mine:
            numbers = self._run(t, part, seed_of(t.plan.seed, update, index), weight, is_whole)
            done.append(MicroBatchLoss(part.examples, numbers[: len(part.examples)], numbers[-2]))
            t.trace.micro_batch(index, part, numbers[-2])
        return done, numbers[-1] if is_whole else self._step_by_sums(t)

    def _run(self, t: Training, part: MicroBatch, seed: int, weight: float, is_whole: bool) -> torch.Tensor:
        """Passes of a micro-batch; where it is the whole update, the step, too.

        Returns:
            Float32: each text's loss, those of padding after them; their share of the update's; the gradient's norm,
            or 0 where there was no step.
        """
        with span("data"):
            batches = _batches_of(t)
            tokens, texts = int(batches.encoded.lengths[list(part.examples)].sum()), len(part.examples)
            shape, is_common = shape_for(self._shapes, tokens, texts)
            arrays = static_arrays(batches, part, shape)
            arrays |= {_WEIGHT: np.array(weight, np.float32), _RATES: _rates_of(t)}
            slot = self._slots.get(shape) or _Slot(shape, StaticTensors(arrays, t.accelerator.device))
            slot.static.fill(arrays)
        passes = functools.partial(_passes, t, slot, self._low_precision(t))
        call: Call = functools.partial(_whole_update, t, slot, passes)
        if not is_whole:
            call = functools.partial(_add_gradient, t, passes, self._sums(t))
        if is_common:
            self._slots[shape] = slot
            key = "update" if is_whole else "passes", shape
            call = self._recorded(t, key, call, functools.partial(_warm_up, t, passes, is_whole))
        seed_generators(t.accelerator.device, seed)
        comes_once = t.recipe.train.compile and not is_common
        with without_compiling() if comes_once else nullcontext():
            return call().clone()

    def _step_by_sums(self, t: Training) -> torch.Tensor:
        """The step by the gradients of all passes, of all processes; returns their norm."""
        sums = self._sums(t)
        sum_over_processes(t.accelerator, [gradients.flat for gradients in sums])
        if self._rates is None:
            self._rates = StaticTensors({_RATES: _rates_of(t)}, t.accelerator.device)
        self._rates.fill({_RATES: _rates_of(t)})
        step = functools.partial(_step_by, t, sums, self._rates.tensors[_RATES])
        warm_up = functools.partial(_warm_up_step, t, sums)
        return self._recorded(t, ("step", None), step, warm_up)().clone()

    def _low_precision(self, t: Training) -> LowPrecisionWeights | None:
        if self._low is None and t.accelerator.mixed_precision == "bf16":
            self._low = LowPrecisionWeights(t.model, torch.bfloat16)
        return self._low

    def _sums(self, t: Training) -> list[_FlatGradients]:
        if self._gradients is None:
            trained = _trained(t)
            dtypes = dict.fromkeys(parameter.dtype for parameter in trained)
            self._gradients = [_FlatGradients.of([p for p in trained if p.dtype == dtype]) for dtype in dtypes]
        return self._gradients

    def _recorded(
        self,
        t: Training,
        key: tuple[str, StaticShape | None],
        function: Call,
        warm_up: Callable[[], None],
    ) -> Call:
        if self._recorder is None:
            self._recorder = Recorder(t.accelerator.device, self._captures)
        if key not in self._calls:
            could = self._recorder.captures
            self._calls[key] = self._recorder.record(function, warm_up)
            if could and not self._recorder.captures:
                why = f"an update could not be captured as a CUDA graph: {self._recorder.failure}"
                if self._required:
                    raise UserError(f"train.cuda_graphs: {why}. Set it to auto, which goes on without")
                t.console.note(f"{why}. Its kernels are launched one by one: slower, with the same result")
        return self._calls[key]


def _passes(t: Training, slot: _Slot, low: LowPrecisionWeights | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward and backward pass of what lies in a slot: each text's loss, and their share of the update's."""
    batch = slot.batch()
    assert isinstance(t.objective, Supervised)  # else updates are not static
    with span("forward"):
        losses = t.objective.losses(t.model if low is None else low.cast(), batch)
        loss = (losses * batch.mask).sum() / slot.weight
    with span("backward"):
        t.accelerator.backward(loss * (1 + 0 * loss.detach()))  # nan where it is infinite, as in the loop
        if low is not None:
            low.hand_over_gradients()
    return losses.detach(), loss.detach()


def _whole_update(t: Training, slot: _Slot, passes: _Passes) -> torch.Tensor:
    """Passes and step; gradients live in between only."""
    _forget_gradients(t)
    losses, loss = passes()
    norm = _step(t, slot.rates)
    _forget_gradients(t)
    return _in_a_row(losses, loss, norm)


def _add_gradient(t: Training, passes: _Passes, sums: Sequence[_FlatGradients]) -> torch.Tensor:
    """Passes whose gradients are added to those of the update's micro-batches before."""
    _take_gradients(sums)
    losses, loss = passes()
    _forget_gradients(t)
    return _in_a_row(losses, loss, torch.zeros_like(loss))


def _step_by(t: Training, sums: Sequence[_FlatGradients], rates: torch.Tensor) -> torch.Tensor:
    """The step by what was added up, which is zero then; the gradient's norm."""
    _take_gradients(sums)
    norm = _step(t, rates)
    _forget_gradients(t)
    for gradients in sums:
        gradients.flat.zero_()
    return norm


def _step(t: Training, rates: torch.Tensor) -> torch.Tensor:
    with span("optimizer"), rates_on_device(t.optimizer, rates):
        norm = clip_gradient(t.accelerator, t.model, t.optimizer, t.recipe.train.max_grad_norm or math.inf)
        inner_optimizer(t.optimizer).step()
    assert isinstance(norm, torch.Tensor)
    return norm


def _warm_up(t: Training, passes: _Passes, is_whole: bool) -> None:
    _forget_gradients(t)
    passes()
    if is_whole:
        take_no_step(t.optimizer, t.accelerator.device)
    _forget_gradients(t)


def _warm_up_step(t: Training, sums: Sequence[_FlatGradients]) -> None:
    _take_gradients(sums)
    take_no_step(t.optimizer, t.accelerator.device)
    _forget_gradients(t)


def _batches_of(t: Training) -> Batches:
    assert isinstance(t.train, Batches)  # else updates are not static
    return t.train


def _trained(t: Training) -> list[torch.nn.Parameter]:
    return [parameter for parameter in t.model.parameters() if parameter.requires_grad]


def _rates_of(t: Training) -> np.ndarray:
    return np.array([group["lr"] for group in inner_optimizer(t.optimizer).param_groups], np.float32)


def _take_gradients(sums: Sequence[_FlatGradients]) -> None:
    for gradients in sums:
        for parameter, view in zip(gradients.parameters, gradients.views, strict=True):
            parameter.grad = view


def _forget_gradients(t: Training) -> None:
    for parameter in _trained(t):
        parameter.grad = None


def _in_a_row(losses: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
    return torch.cat([losses, *(number.to(losses.dtype).unsqueeze(0) for number in more)])
