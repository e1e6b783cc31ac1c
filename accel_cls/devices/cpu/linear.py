"""Linear layers in bf16 on a CPU, whose weights are converted once an update.

Autocast converts each weight in every forward pass, whether it has changed or not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear


class _Bf16Product(torch.autograd.Function):
    """A product in bf16 whose gradient for weight and bias is fp32, as they are."""

    @staticmethod
    def forward(
        ctx: Any,
        values: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        weight16: torch.Tensor,
        bias16: torch.Tensor | None,
    ) -> torch.Tensor:
        ctx.dtype = values.dtype
        values = values.to(torch.bfloat16)
        ctx.save_for_backward(values, weight16)
        return linear(values, weight16, bias16)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, weight16 = ctx.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1])
        for_values = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            for_values = (gradient @ weight16).to(ctx.dtype)
        if ctx.needs_input_grad[1]:
            for_weight = (flat.t() @ values.reshape(-1, values.shape[-1])).float()
        if ctx.needs_input_grad[2]:
            for_bias = flat.sum(0).float()
        return for_values, for_weight, for_bias, None, None


class Bf16Linear(torch.nn.Linear):
    """torch.nn.Linear that under autocast to bf16 keeps its converted weights until the optimizer changes them."""

    _converted: tuple[tuple[int, ...], torch.Tensor, torch.Tensor | None] | None = None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out], in bf16 under autocast."""
        if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
            return super().forward(values)
        weight16, bias16 = self._in_bf16()
        return _Bf16Product.apply(values, self.weight, self.bias, weight16, bias16)

    def _in_bf16(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        own = (self.weight,) if self.bias is None else (self.weight, self.bias)
        # torch counts the changes of a tensor's values; a tensor that is put in its place has another address.
        state = tuple(number for tensor in own for number in (tensor.data_ptr(), tensor._version))
        if self._converted is None or self._converted[0] != state:
            bias16 = None if self.bias is None else self.bias.detach().to(torch.bfloat16)
            # Into the memory of the last conversion: once the weights change, no backward pass needs it any more.
            if self._converted is None:
                weight16 = torch.empty_like(self.weight, dtype=torch.bfloat16)
            else:
                weight16 = self._converted[1]
            self._converted = (state, weight16.copy_(self.weight.detach()), bias16)
        return self._converted[1:]
