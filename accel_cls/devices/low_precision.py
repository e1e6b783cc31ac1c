"""Linear layers' weights in autocast's dtype: all of them cast in one go, and their gradients back.

Autocast casts each weight and bias by itself, and each of their gradients: 288 kernels of 2 to 3 µs in an update of a
BERT-base, an eighth of its time on an H200 where it is of 16 reviews. torch's foreach operators make 10 of them. The
bits are autocast's: each number is rounded as it would be, and each gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class LowPrecisionWeights:
    """Copies that stand in for the weights of linear layers during a pass.

    Args:
        model: whose passes are under autocast; its weights stay where they are.
        dtype: autocast's, of fewer bits than the weights.
    """

    def __init__(self, model: torch.nn.Module, dtype: torch.dtype):
        linear = {id(p) for module in model.modules() if _is_linear(module) for p in module.parameters(recurse=False)}
        # A weight that is read otherwise, too, such as an output layer's that is the embedding's, stays as it is.
        others = (module for module in model.modules() if not _is_linear(module))
        linear -= {id(p) for module in others for p in module.parameters(recurse=False)}
        named = {name: p for name, p in model.named_parameters() if id(p) in linear and p.dtype != dtype}
        self._model = model
        self._copies = {name: p.detach().to(dtype).requires_grad_(p.requires_grad) for name, p in named.items()}
        # Frozen weights stay what they are.
        both = zip(named.values(), self._copies.values(), strict=True)
        self._trained: list[tuple[torch.Tensor, torch.Tensor]] = [pair for pair in both if pair[0].requires_grad]

    @torch.no_grad()
    def cast(self) -> Callable[..., Any]:
        """Make the copies what the weights are now; returns what calls the model with them."""
        if self._trained:
            weights, copies = zip(*self._trained, strict=True)
            torch._foreach_copy_(copies, weights)
        return self._call

    def _call(self, *arguments: Any, **options: Any) -> Any:
        return torch.func.functional_call(self._model, self._copies, arguments, options)

    @torch.no_grad()
    def hand_over_gradients(self) -> None:
        """Add the copies' gradients to those of the weights, and forget them."""
        read = [(weight, copy) for weight, copy in self._trained if copy.grad is not None]
        added = [(weight.grad, copy.grad) for weight, copy in read if weight.grad is not None]
        first = [(weight, copy.grad) for weight, copy in read if weight.grad is None]
        if added:
            torch._foreach_add_(*map(list, zip(*added, strict=True)))
        if first:
            weights, gradients = zip(*first, strict=True)
            for weight in weights:
                weight.grad = torch.empty_like(weight)
            torch._foreach_copy_([weight.grad for weight in weights], gradients)
        for _, copy in read:
            copy.grad = None


def _is_linear(module: torch.nn.Module) -> bool:
    # Not a class that is derived from it: what that does with its weights is its own matter.
    return type(module) is torch.nn.Linear
