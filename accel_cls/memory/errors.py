"""How running out of memory is recognized, on whatever device."""

from __future__ import annotations

import torch
from accelerate.utils.memory import should_reduce_batch_size

# What accelerate's own list has not: allocations of CUDA's libraries, of C++ code, and of XLA.
_ALSO = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "bad_alloc",
    "RESOURCE_EXHAUSTED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, on whatever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and (
        should_reduce_batch_size(error) or any(words in str(error) for words in _ALSO)
    )
