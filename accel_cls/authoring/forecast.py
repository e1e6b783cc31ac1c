"""What a training will take, from arithmetic alone: updates, tokens, learning rate, memory, disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from accel_cls.batching.plan import MicroBatchStats, Plan
from accel_cls.memory.arithmetic import Place, foresee, with_tokens
from accel_cls.memory.forecast import Memory, in_bytes, memory_of, size_of_weights
from accel_cls.models.packing import can_pack, make_packable
from accel_cls.profiles import find_profile
from accel_cls.recipe import Recipe

_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Forecast:
    """The plan of a recipe in numbers."""

    plan: Plan
    processes: int
    cutting: MicroBatchStats
    tokens_from: str  # where train.micro_batch_tokens is from: "recipe", or what `auto` was resolved by
    memory: Memory
    checkpoint: int  # bytes of one
    model: int  # bytes of the saved model
    kept: int  # checkpoints at the end, at most

    def lines(self, recipe: Recipe) -> list[tuple[str, str]]:
        """Name and text of each line that a person reads."""
        plan, memory = self.plan, self.memory
        lines = plan.describe(recipe, self.processes)
        real = int(plan.lengths.sum())
        padded = real / (1 - self.cutting.padding)
        tokens = f"{real:,} an epoch, about {padded:,.0f} with padding; {real * plan.epochs:,} in all"
        lines.insert(3, ("tokens", tokens))
        if self.processes > 1:
            busy = f"{self.cutting.busy:.0%} of the time; the rest they wait for the longest micro-batch of a round"
            lines.insert(4, (f"{self.processes} processes", f"busy {busy}"))
        lines.insert(2, ("", f"{self._curve()}  {self._rates()}"))
        if self.tokens_from != "recipe":
            auto = f"train.micro_batch_tokens: auto → {plan.layout.tokens:,}, {self.tokens_from}"
            lines.insert(4, ("", auto))
        rows, width = memory.shape
        parts = [("weights", memory.weights), ("gradients", memory.gradients), ("AdamW", memory.optimizer)]
        said = " + ".join(f"{name} {in_bytes(size)}" for name, size in parts)
        if memory.activations is None:
            said += "; activations can't be told for this family of models"
        else:
            said += f" + activations {in_bytes(memory.activations)} (a micro-batch of {rows} × {width} tokens)"
            said += f" = {in_bytes(memory.total)} a process, in fp32"
        lines.append(("memory", f"{said}, besides what torch takes for itself"))
        disk = self.kept * self.checkpoint + self.model
        lines.append(
            (
                "disk",
                f"a checkpoint {in_bytes(self.checkpoint)}, the model {in_bytes(self.model)}; up to "
                f"{in_bytes(disk)} with {self.kept} checkpoints",
            )
        )
        return lines

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
            "tokens_per_epoch": int(plan.lengths.sum()),
            "cutting": cutting,
            "learning_rate": [{"update": k + 1, "rate": plan.rate(k)} for k in self._points(21)],
            "memory_bytes": asdict(self.memory) | {"total": self.memory.total},
            "checkpoint_bytes": self.checkpoint,
            "model_bytes": self.model,
            "checkpoints_kept": self.kept,
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


def forecast(recipe: Recipe, lengths: np.ndarray, outline: PreTrainedModel, processes: int | None) -> Forecast:
    """Forecast a training.

    Args:
        recipe: the recipe.
        lengths: tokens of each training example.
        outline: its model on the meta device, see `outline_model`.
        processes: how many; None for what the recipe's profile says, or 1.

    Raises:
        UserError: where the plan contradicts itself.
    """
    profile = find_profile(recipe.hardware)
    processes = processes or (profile.processes if profile is not None else 1)
    sharded = profile.distributed_type if profile is not None else "NO"
    tokens_from = "recipe"
    packed = recipe.train.packing and can_pack(outline.config)
    if packed:
        make_packable(outline)
    if recipe.train.micro_batch_tokens == "auto":
        tokens, tokens_from = foresee(recipe, lengths, outline, Place.expected(profile, processes))
        recipe = with_tokens(recipe, tokens)
    plan = Plan.of(recipe, lengths, packed=packed)
    cutting = plan.micro_batch_stats(processes)
    weights = size_of_weights(outline)
    buffers = sum(b.numel() * b.element_size() for b in outline.buffers())
    kept = recipe.checkpoint.keep + 1  # and the best
    return Forecast(
        plan=plan,
        processes=processes,
        cutting=cutting,
        tokens_from=tokens_from,
        memory=memory_of(outline, cutting.shapes, sharded, processes),
        checkpoint=3 * weights + buffers,
        model=weights,
        kept=kept,
    )
