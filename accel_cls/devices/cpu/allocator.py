"""Memory that is used again instead of being given back to the system after each operation.

glibc maps each block of 32 MiB or more (first of 128 kB) from the system and unmaps it when it is freed. A training
step frees and allocates its gradients and activations anew, hundreds of MB, and the system has to clear every page
of them: with a BERT-base in bf16 a tenth of the time of a step.
"""

from __future__ import annotations

import ctypes
import os
import sys

# glibc's mallopt: see its manual page.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_memory() -> None:
    """Let this process keep what it frees, up to 2 GiB at a time; in huge pages where the system has them.

    Only for Linux with glibc; elsewhere nothing happens. A user's own settings (MALLOC_..., LD_PRELOAD) stay. To be
    called before torch allocates anything.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch: 2 MiB pages for large tensors; 4% of a step
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ) or "LD_PRELOAD" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return
    # mallopt takes a C int: 2 GiB less a byte is the most. Before 2.35 glibc refused a threshold over 32 MiB.
    mallopt(_MMAP_THRESHOLD, 2**30) or mallopt(_MMAP_THRESHOLD, 2**25)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 2**26)


def trim_memory() -> None:
    """Give back to the system what this process keeps of what it has freed. Only with glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
