"""Which libraries are here, and whether they are the tested ones; nothing is imported for it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from benchmarks.processes import ROOT

# What a training, a prediction and the comparison of both import; a step is left out where one is missing.
TRAINING = (
    *("torch", "transformers", "accelerate", "tokenizers", "safetensors", "datasets", "evaluate", "scikit-learn"),
    *("numpy", "pyarrow", "pydantic", "PyYAML", "psutil", "rich"),
)
COMMANDS = (*TRAINING, "typer")  # what `accel-cls` needs besides


def installed(names: tuple[str, ...]) -> dict[str, str | None]:
    """The version of each; None where it is missing."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def missing(names: tuple[str, ...]) -> list[str]:
    """Those that are not installed."""
    return [name for name, number in installed(names).items() if number is None]


def untested(names: tuple[str, ...]) -> list[str]:
    """Those in another version than constraints.txt pins, with both."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {_plain(name): number for name, _, number in (line.partition("==") for line in lines) if number}
    here = installed(names)
    return [
        f"{name} {number} (tested: {pins[_plain(name)]})"
        for name, number in here.items()
        if number is not None and number.partition("+")[0] != pins.get(_plain(name), number.partition("+")[0])
    ]


def _plain(name: str) -> str:
    """A name as package indexes compare it."""
    return name.lower().replace("-", "_")
