"""How long an OpenMP thread spins at a barrier before it sleeps, on a machine that others use, too.

An operation of torch ends when the last of its threads has done its part. Until then the others spin (GNU OpenMP),
which is quickest where nobody else wants these cores. Where other programs do, it takes them from the very thread
that is waited for. On two cores with two busy programs beside it, a BERT 2×128 trained at 87 texts/s, and at 271
where threads spin a thousand times only. Alone, a BERT 4×256 made 190 and 170.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

_CROWDED = 25.0  # per cent of the last 10 s in which something that could run had to wait for a core
_SPIN_COUNT = "1000"


def limit_spinning(pressure: Path = Path("/proc/pressure/cpu")) -> str | None:
    """Let threads spin for less where other programs want the cores; returns a note of it, None where none do.

    To be called before torch is imported. A user's own settings stay. Linux only, whose kernel knows who waits.
    """
    if sys.platform != "linux" or "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return None
    try:
        found = re.search(r"some avg10=([\d.]+)", pressure.read_text())
    except OSError:  # a kernel, or a container, without this file
        return None
    if found is None or float(found[1]) < _CROWDED:
        return None
    os.environ["GOMP_SPINCOUNT"] = _SPIN_COUNT
    return (
        f"other programs want this machine's cores, too ({float(found[1]):.0f}% of the last 10 s something waited for "
        f"one); threads give way sooner: GOMP_SPINCOUNT={_SPIN_COUNT}"
    )
