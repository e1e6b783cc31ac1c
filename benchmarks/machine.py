"""What the figures were measured on and with."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def describe() -> dict[str, Any]:
    """Processor, memory, versions, and the commit of this project."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    cpu = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in cpu.items()}
    flags = set(named.get("flags", "").split())
    return {
        "date": datetime.date.today().isoformat(),
        "processor": named.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpu": gpu(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformers", "accelerate", "tokenizers")},
        "commit": commit(),
    }


def gpu() -> str | None:
    """The first CUDA device's name; None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None


def has_fast_bf16(on: dict[str, Any]) -> bool:
    """Whether products in bf16 are faster than in fp32 on a machine's CPU: it has instructions for them."""
    return bool({"avx512_bf16", "amx_bf16"} & set(on["flags"]))


def commit() -> str:
    """The project's commit, and whether its code has been changed since."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():  # a copy, on a machine that only measures
        return "an unknown commit"

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "accel_cls")
    return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
