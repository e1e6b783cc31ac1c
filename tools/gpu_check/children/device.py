"""What the device is, and whether it computes: `python -m tools.gpu_check.children.device cuda RESULT.json`."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch


def main() -> None:
    """Multiply two matrices on the device, and write what it is."""
    kind, result = sys.argv[1:]
    ones = torch.ones(64, 64, device=kind)
    assert (ones @ ones).sum().item() == 64**3
    facts: dict[str, Any] = {
        "device": "CPU",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "memory_bytes": None,
        "capability": None,
    }
    if kind == "cuda":
        properties = torch.cuda.get_device_properties(0)
        facts |= {
            "device": properties.name,
            "memory_bytes": properties.total_memory,
            "capability": f"{properties.major}.{properties.minor}",
            "nccl": ".".join(map(str, torch.cuda.nccl.version())),
            "cudnn": torch.backends.cudnn.version(),
        }
    Path(result).write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
