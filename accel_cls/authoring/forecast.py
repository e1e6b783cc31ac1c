"""What a training will take, from arithmetic alone: updates, tokens, learning rate, memory, disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from accel_cls.plan import Cutting, Plan
from accel_cls.profiles import find_profile
from accel_cls.recipe import Recipe

_FLOAT = 4  # bytes: weights, gradients and AdamW's two moments are fp32 on every hardware
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Memory:
    """Bytes on one process, while the most demanding micro-batch is in work."""

    weights: int
    gradients: int
    optimizer: int
    activations: int | None  # what the forward pass keeps for the backward pass, in fp32; None: not known
    shape: tuple[int, int]  # rows and tokens of that micro-batch

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + (self.activations or 0)


@dataclass(frozen=True)
class Forecast:
    """The plan of a recipe in numbers."""

    plan: Plan
    processes: int
    cutting: Cutting
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


def forecast(recipe: Recipe, plan: Plan, outline: PreTrainedModel, processes: int | None) -> Forecast:
    """Forecast a training.

    Args:
        recipe: the recipe.
        plan: its plan.
        outline: its model on the meta device, see `outline_model`.
        processes: how many; None for what the recipe's profile says, or 1.
    """
    profile = find_profile(recipe.hardware)
    processes = processes or (profile.processes if profile is not None else 1)
    sharded = profile.distributed_type if profile is not None else "NO"
    cutting = plan.cutting(processes)
    weights = _FLOAT * sum(p.numel() for p in outline.parameters())
    buffers = sum(b.numel() * b.element_size() for b in outline.buffers())
    parts = processes if sharded == "FSDP" else 1
    partly = processes if sharded in ("FSDP", "DEEPSPEED") else 1  # ZeRO-2 keeps the weights whole
    shape, activations = _most_demanding(outline, cutting.shapes)
    kept = recipe.checkpoint.keep + 1  # and the best
    return Forecast(
        plan=plan,
        processes=processes,
        cutting=cutting,
        memory=Memory(weights // parts, weights // partly, 2 * weights // partly, activations, shape),
        checkpoint=3 * weights + buffers,
        model=weights,
        kept=kept,
    )


def in_bytes(count: int) -> str:
    """A size as people read it, in powers of ten."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _most_demanding(outline: PreTrainedModel, shapes: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], int | None]:
    """The micro-batch whose forward pass keeps the most, and how many bytes."""
    # What is kept grows with the tokens, and with tokens × width: one of these two is the largest.
    candidates = {max(shapes, key=lambda s: s[0] * s[1]), max(shapes, key=lambda s: s[0] * s[1] ** 2)}
    kept = {shape: _activations(outline, *shape) for shape in sorted(candidates)}
    shape = max(kept, key=lambda shape: kept[shape] or 0)
    return shape, kept[shape]


def _activations(outline: PreTrainedModel, rows: int, width: int) -> int | None:
    """Bytes that autograd keeps of a forward pass: run on the meta device, which computes shapes only.

    None for the few families (DeBERTa) whose forward pass looks at values.
    """
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # the storage itself: freed, its address would come again
        return tensor

    outline.train()
    ids = torch.zeros(rows, width, dtype=torch.int64, device="meta")
    labels = torch.zeros(rows, dtype=torch.int64, device="meta")
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            cross_entropy(outline(input_ids=ids).logits.float(), labels, reduction="none").sum()
    except RuntimeError as error:  # NotImplementedError, for an operation without shapes alone, is one
        if "meta" not in str(error).lower():
            raise
        return None
    own = {t.untyped_storage()._cdata for t in (*outline.parameters(), *outline.buffers())}
    return sum(storage.nbytes() for address, storage in kept.items() if address not in own)
