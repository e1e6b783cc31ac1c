"""How running out of memory is recognized, on whatever device."""

from __future__ import annotations

import torch
from accelerate.utils.memory import should_reduce_batch_size

from accel_cls.memory.available import available_memory, local_process_count

# What accelerate's own list has not: allocations of CUDA's libraries, of C++ code, and of XLA.
_ALSO = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "bad_alloc",
    "RESOURCE_EXHAUSTED",
)
# All that oneDNN, which computes products on CPUs, says when it gets no memory for a kernel or its scratchpad. It has
# other reasons to say it, too, so it counts only where little is free: a scratchpad takes some MB.
_ONEDNN, _LITTLE = "could not create a primitive", 256 * 2**20


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, on whatever device. Asked while what was allocated is there."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    if _ONEDNN in str(error):
        free = available_memory(torch.device("cpu"), local_process_count()).free
        return free is not None and free < _LITTLE
    return should_reduce_batch_size(error) or any(words in str(error) for words in _ALSO)
