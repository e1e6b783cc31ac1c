"""What is told of weights that are a mean."""

from __future__ import annotations

from typing import Any


def describe_mean(results: dict[str, Any]) -> str | None:
    """That what a run kept is a mean that was made at its end, from its results.json; None where it is none."""
    if results.get("averaged", 1) > 1:  # not in runs of older versions
        return f"The kept weights are the mean of those at the last {results['averaged']} evaluations"
    if share := results.get("start_share"):
        return f"The kept weights are a mean in which those before the first update count {share:g}"
    return None
