"""What a recipe's sections are made of: pydantic models whose fields also say, in plain words, what they expect."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

EVERY = "'epoch' or a whole number of updates, 1 or more"  # what intervals of a training expect


def setting(default: Any, expects: str, help: str, why: str = "", **constraints: Any) -> Any:
    """A pydantic field that also says, in plain words, what it expects and why its range ends where it ends."""
    return Field(default, description=help, json_schema_extra={"expects": expects, "why": why}, **constraints)


class Section(BaseModel):
    """What all parts of a recipe share: unknown keys are errors, types are strict, values never change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
