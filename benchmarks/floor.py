"""The least time that work can take: its exact products at the fastest rate that this machine was seen to reach.

Pure arithmetic; `peak.py` measures the rate. Nothing that a program could leave out is counted: no padding, no
embeddings, no norms, no activation functions.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.models import Shape


@dataclass(frozen=True)
class Work:
    """Texts that went through a model."""

    examples: int
    tokens: int  # real ones, [CLS] and [SEP] included
    squares: int  # sum over the texts of their squared lengths

    def __add__(self, other: Work) -> Work:
        return Work(self.examples + other.examples, self.tokens + other.tokens, self.squares + other.squares)


def forward_flop(shape: Shape, work: Work, classes: int) -> int:
    """Floating-point operations of a forward pass: two for each weight and token, four h for each pair of tokens.

    A text of n tokens has n² scores, each a product of h numbers over all heads, and as much again for the weighted
    values. Of the last layer only the first token of each text is read: all others are keys and values in it, two of
    a layer's twelve h² for each. The pooler and the classifier see the first tokens, too.
    """
    last = shape.layer_weights // shape.layers
    matrices = 2 * (shape.layer_weights - last + last // 6) * work.tokens + 2 * (last - last // 6) * work.examples
    attention = 4 * shape.hidden * ((shape.layers - 1) * work.squares + work.tokens)
    head = 2 * shape.head_weights(classes) * work.examples
    return matrices + attention + head


def training_flop(shape: Shape, work: Work, classes: int) -> int:
    """The same with the backward pass, in which each product becomes two."""
    return 3 * forward_flop(shape, work, classes)


def training_floor(flop: float, flop_per_second: float, updates: int, optimizer_seconds: float) -> float:
    """Seconds of a training: its products, and for each update one pass of the optimizer over all weights."""
    return flop / flop_per_second + updates * optimizer_seconds
