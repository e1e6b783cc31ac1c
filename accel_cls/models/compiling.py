"""Layers whose element-wise work is fused by torch.compile: biases, activations, dropout, residuals and norms.

Only what stands beside the attention is compiled, part by part: these parts take plain tensors, and layers share their
programs. It is worth its time only where there are few shapes, each of which is a program of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import PreTrainedModel

from accel_cls.errors import UserError
from accel_cls.models.packing.families import layers_with_attention

# torch's own limit, 8, would leave a part uncompiled, with a warning: 4 shapes, each with all tokens and, in the last
# layer, with first tokens only, and each in another precision or with another layer's flags.
_MOST_PROGRAMS = 64


def compile_layers(model: PreTrainedModel, place: str, deterministic: bool) -> int:
    """Compile the parts of a packable model's layers for training. Evaluation, whose shapes vary, goes on without.

    Args:
        model: a classifier that `can_pack`.
        place: the recipe's key.
        deterministic: whether Inductor may not choose by measuring, which could change the last bit from run to run.

    Returns:
        How many parts there are.

    Raises:
        UserError: where the family's layers can't be taken apart.
    """
    import torch._dynamo
    import torch._inductor.config

    layers = layers_with_attention(model)
    if not layers:
        raise UserError(
            f"{place}: found true; expected false for {model.config.model_type}, whose layers can't be told from one "
            "another"
        )
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _MOST_PROGRAMS)
    torch._inductor.config.deterministic = deterministic
    parts = [part for layer, attention in layers for part in _parts_beside(layer, attention)]
    for part in parts:
        part.forward = _compiled_in_training(part, part.forward)
    return len(parts)


def without_compiling() -> Any:
    """A context in which compiled parts run as they were written: for a shape that comes once."""
    return torch.compiler.set_stance("force_eager")


def _compiled_in_training(part: torch.nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
    compiled = torch.compile(forward, dynamic=False)

    def call(*arguments: Any, **options: Any) -> Any:
        return (compiled if part.training else forward)(*arguments, **options)

    return call


def _parts_beside(module: torch.nn.Module, attention: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The largest parts of a layer that do not hold its attention and are more than one operation."""
    for child in module.children():
        if attention in [*child.modules()]:
            if child is not attention:
                yield from _parts_beside(child, attention)
        elif any(True for _ in child.children()):
            yield child
