"""Tensors that keep their place on the device, filled together by one copy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

# Memory on the host for so many copies: it may be that far ahead of the device before it waits.
_HOST_BUFFERS = 8
_ALIGNMENT = 16  # bytes


class StaticTensors:
    """Views into one buffer, which `fill` overwrites.

    Args:
        example: an array for each name, of the shape and dtype that all will have.
        device: where the tensors are.
    """

    def __init__(self, example: Mapping[str, np.ndarray], device: torch.device):
        self._places: dict[str, tuple[int, int]] = {}
        end = 0
        for name, array in example.items():
            self._places[name] = end, end + array.nbytes
            end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        self._buffer = torch.zeros(end, dtype=torch.uint8, device=device)
        self._shapes = {name: array.shape for name, array in example.items()}
        self._dtypes = {name: array.dtype for name, array in example.items()}
        self.tensors = {name: self._view(name) for name in example}
        count = _HOST_BUFFERS if device.type == "cuda" else 0  # on a CPU the buffer itself is written to
        self._host = [torch.zeros(end, dtype=torch.uint8).pin_memory() for _ in range(count)]
        self._copied = [torch.cuda.Event() for _ in self._host]
        self._next = 0

    def _view(self, name: str) -> torch.Tensor:
        start, end = self._places[name]
        dtype = torch.from_numpy(np.empty(0, self._dtypes[name])).dtype
        return self._buffer[start:end].view(dtype).view(self._shapes[name])

    def fill(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Overwrite all tensors, in the order of the device's work; the arrays are done with when this returns."""
        assert arrays.keys() == self._places.keys()
        at = self._next
        if self._host:
            self._copied[at].synchronize()
        memory = (self._host[at] if self._host else self._buffer).numpy()
        for name, array in arrays.items():
            assert array.shape == self._shapes[name], name
            assert array.dtype == self._dtypes[name], name
            start, end = self._places[name]
            memory[start:end].view(array.dtype)[:] = array.reshape(math.prod(array.shape))
        if self._host:
            self._buffer.copy_(self._host[at], non_blocking=True)
            self._copied[at].record()
            self._next = (at + 1) % len(self._host)
