"""The non-finite guard: updates whose loss or gradient is not finite, found, told with their rows, and harmless.

Such an update changes neither weights nor the optimizer's state: `optimizer.py` sees to that, by the gradient's norm.
Here is decided what follows. The norm is the same number on every process, so all of them come to the same decision,
and to the same collective operations, without asking each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress, list_checkpoints
from accel_cls.checkpoints.saving import Saver
from accel_cls.console import Console
from accel_cls.errors import Diverged, DivergedElsewhere, UserError
from accel_cls.runs.artifacts import Artifacts
from accel_cls.training.objective import MicroBatchLoss
from accel_cls.training.optimizer import is_skipped_on_device

# With `train.non_finite: skip`, so many in a row end the run. Odd rows are few and lie apart, and weights do not
# change meanwhile: what ten updates of different rows have in common is the model.
SKIPS_IN_A_ROW = 10
# The fp16 scaler begins at 2**16 and halves its scale with each skip. After 25 it is below 2**-8: then gradients
# overflow by themselves, not for being scaled.
SCALER_SKIPS_IN_A_ROW = 25
# Where checking waits for the device, it is done at least after so many updates: what is kept till then stays small.
_MOST_PENDING = 100
_SHOWN = 5  # rows in a message


@dataclass(frozen=True)
class _Update:
    """An update that has been made, and not yet checked."""

    number: int  # counted from 0
    losses: Sequence[MicroBatchLoss]  # this process's
    rate: float
    norm: torch.Tensor | float | None


@dataclass(frozen=True)
class _NonFinite:
    """What is not finite of an update, over all processes."""

    loss: float
    norm: float
    rows: tuple[str, ...]  # whose own loss is not finite; where there is none: all rows of the update
    is_loss: bool  # whether there is one

    def __str__(self) -> str:
        more = f" and {len(self.rows) - _SHOWN} more" if len(self.rows) > _SHOWN else ""
        rows = ", ".join(self.rows[:_SHOWN]) + more
        if self.is_loss:
            return f"the loss of {rows} is no finite number"
        return f"each row's loss is finite, but the gradient is not; the update's rows are {rows}"


class NonFiniteGuard:
    """Checks each update of a training, and says which of them count."""

    def __init__(
        self,
        policy: str,
        accelerator: Accelerator,
        optimizer: torch.optim.Optimizer,
        plan: Plan,
        rows: Sequence[str],
        progress: Progress,
        artifacts: Artifacts,
        saver: Saver,
        console: Console,
    ):
        """For a training.

        Args:
            policy: the recipe's train.non_finite.
            rows: where each training example stands.

        Raises:
            UserError: where the recipe wants what the hardware can't do.
        """
        self._accelerator, self._plan, self._rows, self._progress = accelerator, plan, rows, progress
        self._artifacts, self._saver, self._console = artifacts, saver, console
        self._is_deepspeed = accelerator.distributed_type == DistributedType.DEEPSPEED
        self._skips = policy == "skip"
        if self._skips and self._is_deepspeed:
            raise UserError(
                "train.non_finite: found skip; expected stop under DeepSpeed, which takes its step before anyone can "
                "look at the gradient. Choose stop, or a hardware profile without DeepSpeed"
            )
        # A skipped update does not move the rate of the next, so whoever skips has to know at once.
        is_free = accelerator.device.type == "cpu" or not is_skipped_on_device(accelerator, optimizer)
        self._checks_at_once = is_free or self._skips
        self._pending: list[_Update] = []

    def counts(
        self, update: int, losses: Sequence[MicroBatchLoss], rate: float, norm: torch.Tensor | float | None
    ) -> bool:
        """Whether an update counts, and has changed the weights. Called by all processes after each update.

        Args:
            update: counted from 0; `progress` is already past it.
            losses: of this process's micro-batches.
            rate: the learning rate.
            norm: the gradient's, the same on every process; None where DeepSpeed keeps it to itself.

        Raises:
            Diverged: where the run has to end; on the other processes DivergedElsewhere.
        """
        done = _Update(update, losses, rate, norm)
        if not self._checks_at_once:
            self._pending.append(done)
            if len(self._pending) >= _MOST_PENDING:
                self.check_pending()
            return True
        if self._is_finite(done):
            self._progress.skips_in_a_row = 0
            return True
        self._skip_or_end(done)
        return False

    def check_pending(self) -> None:
        """Check what has not been checked yet. Called by all processes before anything is logged, scored or saved.

        Raises:
            Diverged: where one of those updates is not finite.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        norms = torch.stack([torch.as_tensor(done.norm) for done in pending]).tolist()
        for done, norm in zip(pending, norms, strict=True):
            if not math.isfinite(norm):
                self._skip_or_end(done)

    def _is_finite(self, done: _Update) -> bool:
        accelerator = self._accelerator
        if self._is_deepspeed and accelerator.optimizer_step_was_skipped:
            return False
        # With fp16's scaler, too: the fused AdamW leaves a step out by itself, and accelerate (1.15) does not see it.
        if done.norm is not None:
            return math.isfinite(float(done.norm))
        mine = torch.stack([one.loss for one in done.losses]).sum()
        return math.isfinite(accelerator.reduce(mine, "sum").item())

    def _skip_or_end(self, done: _Update) -> None:
        """Count, tell and log an update that is not finite, or end the run."""
        progress = self._progress
        found = self._gather(done)
        number = done.number + 1
        figures = f"loss {found.loss:.3g}, gradient norm {found.norm:.3g}, learning rate {done.rate:.3g}"
        progress.skips_in_a_row += 1
        is_scaled = self._accelerator.scaler is not None or self._accelerator.optimizer_step_was_skipped
        if is_scaled and not found.is_loss:
            progress.scaler_skips += 1
            if progress.skips_in_a_row >= SCALER_SKIPS_IN_A_ROW:
                self._end(
                    f"the fp16 scaler has skipped {progress.skips_in_a_row} updates in a row, up to update {number} "
                    f"({figures}): the gradient overflows at any scale",
                    found,
                )
            return
        if not self._skips:
            self._end(f"update {number} of {self._plan.updates:,} has no finite loss or gradient ({figures})", found)
        progress.skipped += 1
        record = {
            "rows": list(found.rows),
            "cause": "loss" if found.is_loss else "gradient",
            "loss": _as_json(found.loss),
            "grad_norm": _as_json(found.norm),
        }
        self._artifacts.log({"update": number, "epoch": number / self._plan.updates_per_epoch, "skipped": record})
        self._console.note(f"update {number} is skipped ({figures}): {found}")
        if progress.skips_in_a_row >= SKIPS_IN_A_ROW:
            self._end(
                f"{progress.skips_in_a_row} updates in a row, up to update {number}, have no finite loss or gradient; "
                f"train.non_finite: skip leaves out fewer than {SKIPS_IN_A_ROW}. Of the last ({figures})",
                found,
            )

    def _gather(self, done: _Update) -> _NonFinite:
        """What all processes know of an update, put together. A collective operation."""
        examples = self._plan.examples(done.number)
        place = {int(example): i for i, example in enumerate(examples)}
        facts = torch.zeros(len(examples) + 1)  # of each example, how many losses are bad; the loss of the update
        for one in done.losses:
            own = torch.isfinite(one.losses[: len(one.examples)].cpu()).tolist()
            for example, is_finite in zip(one.examples, own, strict=True):
                facts[place[example]] += float(not is_finite)
            facts[-1] += one.loss.cpu()
        *bad_losses, loss = self._accelerator.reduce(facts.to(self._accelerator.device), "sum").tolist()
        bad = [int(example) for example, count in zip(examples, bad_losses, strict=True) if count]
        rows = tuple(self._rows[example] for example in bad or sorted(place))
        return _NonFinite(loss, math.nan if done.norm is None else float(done.norm), rows, bool(bad))

    def _end(self, what: str, found: _NonFinite) -> None:
        if not self._accelerator.is_main_process:
            raise DivergedElsewhere(what)
        self._saver.wait()
        saved = list_checkpoints(self._artifacts.folder.checkpoints)
        last = f"the newest checkpoint, {saved[0].name}, is from before it" if saved else "there is no checkpoint yet"
        weights = "may have changed weights, none of which are saved" if self._is_deepspeed else "changed no weights"
        also = ", train.non_finite=skip, which leaves such updates out and goes on from there"
        fp16 = self._accelerator.mixed_precision == "fp16"
        raise Diverged(
            f"{what}.\n  rows     {found}\n  weights  it {weights}; {last}\n"
            "Look at those rows; try a smaller train.learning_rate or a longer train.warmup (with --fresh)"
            + ("" if self._skips or self._is_deepspeed else also)
            + (", mixed_precision: bf16 in place of fp16" if fp16 else "")
        )


def _as_json(value: float) -> float | str:
    """A number as JSON knows it; JSON has none for nan and inf."""
    return value if math.isfinite(value) else str(value)
