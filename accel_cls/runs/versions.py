"""Which code a run is made with: said in origin.json, and compared between the processes of a run."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import accel_cls

_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers")


def versions() -> dict[str, str]:
    """The versions of this package and of those whose changes can change a training."""
    return {"accel_cls": accel_cls.__version__} | {name: version(name) for name in _PACKAGES}


def code_digest() -> str:
    """Of this package's own files: two checkouts of one version number may differ."""
    folder = Path(accel_cls.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        if "shipped" in path.parts[len(folder.parts) : -1]:  # samples' generators, which only a wheel has in here
            continue
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()[:8]
