"""The one kind of error that is the user's to mend: printed as it is, without a traceback."""

from __future__ import annotations

from typing import Any


class UserError(ValueError):
    """A mistake in a recipe, a data file, a model folder or a command; its message says what to do."""

    def as_json(self) -> list[dict[str, Any]]:
        """The mistakes for programs, each with a `message`."""
        return [{"message": str(self)}]


class ToldElsewhere(UserError):
    """A mistake that another process of the run tells the user of: this one only ends."""
