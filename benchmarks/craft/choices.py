"""What is tried: each choice is a line or two of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.craft.settings import STARTS, Start

_LAYERS: tuple[Start, ...] = ("bert", "e5")  # starts with layers and token states
_PRETRAINED: tuple[Start, ...] = ("e5",)


@dataclass(frozen=True)
class Choice:
    """One choice beside the plain recipe."""

    name: str
    group: str  # the section of docs/craft.md
    overrides: tuple[str, ...]  # as the training command takes them
    starts: tuple[Start, ...] = tuple(STARTS)  # those that can have it


PLAIN = Choice("plain", "", ())

CHOICES = {
    one.name: one
    for one in (
        PLAIN,
        Choice("mean", "Heads", ("model.pooling=mean",), _LAYERS),
        Choice("smoothing", "Loss", ("train.label_smoothing=0.1",)),
    )
}
