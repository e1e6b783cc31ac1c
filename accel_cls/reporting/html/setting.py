"""With what it was made: hardware, versions, starts, the whole recipe, and the command to do it again."""

from __future__ import annotations

from dataclasses import dataclass

from accel_cls.recipe import recipe_to_yaml
from accel_cls.reporting.facts import Facts


@dataclass(frozen=True)
class Start:
    """One start of the run."""

    time: str
    update: int
    hardware: str
    changes: str


@dataclass(frozen=True)
class Setting:
    """See `content`."""

    hardware: str
    versions: tuple[tuple[str, str], ...]
    digest: str  # of training and validation data
    files: tuple[tuple[str, str], ...]  # data files, and the beginning of their digests
    starts: tuple[Start, ...]
    recipe: str
    command: str  # in the run's folder


def content(facts: Facts) -> Setting:
    """Of origin.json and the recipe."""
    starts = facts.origin["starts"]
    return Setting(
        facts.results["hardware"],
        tuple(starts[-1].get("versions", {}).items()),
        facts.origin.get("data", "")[:16],
        tuple((path, digest[:16]) for path, digest in facts.origin.get("files", {}).items()),
        tuple(Start(one["time"], one["update"], one["hardware"], "; ".join(one["changes"]) or "–") for one in starts),
        recipe_to_yaml(facts.recipe),
        "accel-cls launch recipe.yaml output=again",
    )
