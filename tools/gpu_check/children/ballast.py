"""Take all of a CUDA device's memory but so many bytes, as another program might, until standard input ends."""

from __future__ import annotations

import sys

import torch


def main() -> None:
    """Take it, and say so."""
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(0, free - int(sys.argv[1])), dtype=torch.uint8, device="cuda")
    print("taken", taken.numel(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
