"""Updates whose loss or gradient is no finite number: found, told with their rows, and kept from doing harm.

Such an update changes neither weights nor the optimizer's state: `optimizer.py` sees to that, by the gradient's norm.
Here is decided what follows. The norm is the same number on every process, so all of them come to the same decision,
and to the same collective operations, without asking each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from accelerate.utils import DistributedType

from accel_cls.checkpoints.checkpoint import Progress, list_checkpoints
from accel_cls.errors import ToldElsewhere, UserError
from accel_cls.training.optimizer import is_skipped_on_device

if TYPE_CHECKING:
    from accel_cls.training.loop import Training

# With `train.non_finite: skip`, so many in a row end the run. Odd rows are few and lie apart, and weights do not
# change meanwhile: what ten updates of different rows have in common is the model.
SKIPS_IN_A_ROW = 10
# The fp16 scaler begins at 2**16 and halves its scale with each skip. After 25 it is below 2**-8: then gradients
# overflow by themselves, not for being scaled.
SCALER_SKIPS_IN_A_ROW = 25
# Where looking waits for the device, it is done at least after so many updates: what is kept till then stays small.
_LOOK_EVERY = 100
_SHOWN = 5  # rows in a message


@dataclass(frozen=True)
class Part:
    """A micro-batch that this process has been through."""

    examples: tuple[int, ...]  # positions in the training data
    losses: torch.Tensor  # float32 [R] on the device: each example's own loss, those of fillers after them
    loss: torch.Tensor  # float32 scalar on the device: its share of the update's loss


@dataclass(frozen=True)
class _Done:
    """An update that has been made, and not yet looked at."""

    update: int  # counted from 0
    parts: Sequence[Part]  # this process's
    rate: float
    norm: torch.Tensor | float | None


@dataclass(frozen=True)
class _Fault:
    """What is wrong with an update, over all processes."""

    loss: float
    norm: float
    rows: tuple[str, ...]  # whose own loss is no finite number; where there is none: all rows of the update
    is_loss: bool  # whether there is one

    def __str__(self) -> str:
        more = f" and {len(self.rows) - _SHOWN} more" if len(self.rows) > _SHOWN else ""
        rows = ", ".join(self.rows[:_SHOWN]) + more
        if self.is_loss:
            return f"the loss of {rows} is no finite number"
        return f"each row's loss is finite, but the gradient is not; the update's rows are {rows}"


class Watch:
    """Looks at each update of a training, and says which of them count."""

    def __init__(self, t: Training, progress: Progress):
        """Raises UserError where the recipe wants what the hardware can't do."""
        self._t, self._progress = t, progress
        self._is_deepspeed = t.accelerator.distributed_type == DistributedType.DEEPSPEED
        self._skips = t.recipe.train.non_finite == "skip"
        if self._skips and self._is_deepspeed:
            raise UserError(
                "train.non_finite: found skip; expected stop under DeepSpeed, which takes its step before anyone can "
                "look at the gradient. Choose stop, or a hardware profile without DeepSpeed"
            )
        # A skipped update does not move the rate of the next, so whoever skips has to know at once.
        is_free = t.accelerator.device.type == "cpu" or not is_skipped_on_device(t.accelerator, t.optimizer)
        self._looks_at_once = is_free or self._skips
        self._unseen: list[_Done] = []

    def is_sound(self, update: int, parts: Sequence[Part], rate: float, norm: torch.Tensor | float | None) -> bool:
        """Whether an update counts, and has changed the weights. Called by all processes after each update.

        Args:
            update: counted from 0; `progress` is already past it.
            parts: this process's micro-batches.
            rate: the learning rate.
            norm: the gradient's, the same on every process; None where DeepSpeed keeps it to itself.

        Raises:
            UserError: where the run has to end; on the other processes ToldElsewhere.
        """
        done = _Done(update, parts, rate, norm)
        if not self._looks_at_once:
            self._unseen.append(done)
            if len(self._unseen) >= _LOOK_EVERY:
                self.look()
            return True
        if self._is_good(done):
            self._progress.skips_in_a_row = 0
            return True
        self._judge(done)
        return False

    def look(self) -> None:
        """Look at what has not been looked at yet. Called by all processes before anything is logged, scored or saved.

        Raises:
            UserError: where one of those updates is not sound.
        """
        unseen, self._unseen = self._unseen, []
        if not unseen:
            return
        norms = torch.stack([torch.as_tensor(done.norm) for done in unseen]).tolist()
        for done, norm in zip(unseen, norms, strict=True):
            if not math.isfinite(norm):
                self._judge(done)

    def _is_good(self, done: _Done) -> bool:
        accelerator = self._t.accelerator
        if accelerator.scaler is not None or self._is_deepspeed:
            if accelerator.optimizer_step_was_skipped:
                return False
            if accelerator.scaler is not None:
                return True
        if done.norm is not None:
            return math.isfinite(float(done.norm))
        mine = torch.stack([part.loss for part in done.parts]).sum()
        return math.isfinite(accelerator.reduce(mine, "sum").item())

    def _judge(self, done: _Done) -> None:
        """Count, tell and log an update that is not sound, or end the run."""
        t, progress = self._t, self._progress
        fault = self._fault_of(done)
        number = done.update + 1
        said = f"loss {fault.loss:.3g}, gradient norm {fault.norm:.3g}, learning rate {done.rate:.3g}"
        progress.skips_in_a_row += 1
        if t.accelerator.optimizer_step_was_skipped and not fault.is_loss:
            progress.scaler_skips += 1
            if progress.skips_in_a_row >= SCALER_SKIPS_IN_A_ROW:
                self._end(
                    f"the fp16 scaler has skipped {progress.skips_in_a_row} updates in a row, up to update {number} "
                    f"({said}): the gradient overflows at any scale",
                    fault,
                )
            return
        if not self._skips:
            self._end(f"update {number} of {t.plan.updates:,} has no finite loss or gradient ({said})", fault)
        progress.skipped += 1
        record = {
            "rows": list(fault.rows),
            "cause": "loss" if fault.is_loss else "gradient",
            "loss": _as_json(fault.loss),
            "grad_norm": _as_json(fault.norm),
        }
        t.results.log({"update": number, "epoch": number / t.plan.updates_per_epoch, "skipped": record})
        t.console.note(f"update {number} is skipped ({said}): {fault}")
        if progress.skips_in_a_row >= SKIPS_IN_A_ROW:
            self._end(
                f"{progress.skips_in_a_row} updates in a row, up to update {number}, have no finite loss or gradient; "
                f"train.non_finite: skip leaves out fewer than {SKIPS_IN_A_ROW}. Of the last ({said})",
                fault,
            )

    def _fault_of(self, done: _Done) -> _Fault:
        """What all processes know of an update, put together. A collective operation."""
        t = self._t
        examples = t.plan.examples(done.update)
        place = {int(example): i for i, example in enumerate(examples)}
        told = torch.zeros(len(examples) + 1)  # for each example whether its loss is bad; the loss of the update
        for part in done.parts:
            own = part.losses[: len(part.examples)].cpu()
            for example, is_finite in zip(part.examples, torch.isfinite(own).tolist(), strict=True):
                told[place[example]] = float(not is_finite)
            told[-1] += part.loss.cpu()
        *is_bad, loss = t.accelerator.reduce(told.to(t.accelerator.device), "sum").tolist()
        bad = [int(example) for example, is_one in zip(examples, is_bad, strict=True) if is_one]
        rows = tuple(t.train.rows[example] for example in bad or sorted(place))
        return _Fault(loss, math.nan if done.norm is None else float(done.norm), rows, bool(bad))

    def _end(self, what: str, fault: _Fault) -> None:
        t = self._t
        if not t.accelerator.is_main_process:
            raise ToldElsewhere(what)
        t.saver.wait()
        saved = list_checkpoints(t.results.folder.checkpoints)
        last = f"the newest checkpoint, {saved[0].name}, is from before it" if saved else "there is no checkpoint yet"
        weights = "may have changed weights, none of which are saved" if self._is_deepspeed else "changed no weights"
        also = ", train.non_finite=skip, which leaves such updates out and goes on from there"
        fp16 = t.accelerator.mixed_precision == "fp16"
        raise UserError(
            f"{what}.\n  rows     {fault}\n  weights  it {weights}; {last}\n"
            "Look at those rows; try a smaller train.learning_rate or a longer train.warmup (with --fresh)"
            + ("" if self._skips or self._is_deepspeed else also)
            + (", mixed_precision: bf16 in place of fp16" if fp16 else "")
        )


def _as_json(value: float) -> float | str:
    """A number as JSON knows it; JSON has none for nan and inf."""
    return value if math.isfinite(value) else str(value)
