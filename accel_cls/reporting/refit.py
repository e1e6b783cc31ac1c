"""What a finished run says of its refit, which has learned the validation examples, too."""

from __future__ import annotations

from typing import Any

from accel_cls.console import duration


def is_refitted(results: dict[str, Any]) -> bool:
    """Whether a run's model has learned its validation examples, so that their scores are of another one."""
    return "examples" in (results.get("refit") or {})  # not there in runs of older versions


def whose_scores(part: str, results: dict[str, Any]) -> str:
    """Whose scores those of a part are: "this model", or the one before."""
    return "the model before its refit" if part == "validation" and is_refitted(results) else "this model"


def describe_refit(results: dict[str, Any]) -> str | None:
    """What became of a run's refit, from its results.json, in sentences; None where the recipe has none."""
    found = results.get("refit")
    if not found:
        return None
    if not is_refitted(results):
        return f"Not refitted: {found['why_not']}"
    updates = f"{found['updates']:,} updates, " if found["updates"] else "the head alone, "
    trained = (
        f"Trained once more, on all {found['examples']:,} labelled examples, those for validation included, up to "
        f"epoch {found['epoch']:.2f} ({updates}{duration(found['seconds'])})"
    )
    scored = "the test scores are of the new one" if results.get("test") else "of the new one there is no score"
    return f"{trained}. The validation scores are of the model before, in selected_model/; {scored}"
