"""What is wrong with a recipe, said the way a compiler says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from accel_cls.errors import UserError, printable, shown


@dataclass(frozen=True)
class Origin:
    """Where a key or value was written: a file's line and column (from 1), or an override."""

    source: str  # the file as the user named it, or "override"
    text: str = ""  # the line in the file, or the override as typed
    line: int | None = None
    column: int | None = None
    folder: Path = Path()  # what relative input paths written here are relative to

    def __str__(self) -> str:
        if self.line is None:
            return f"{self.source} {shown(self.text, 200)!r}" if self.text else self.source
        return f"{self.source}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, which key it concerns ("" for none) and what to do about it."""

    origin: Origin
    key: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """The same for programs; line and column are null for overrides."""
        origin = self.origin
        place = {"source": origin.source, "line": origin.line, "column": origin.column, "text": origin.text}
        return {**place, "key": self.key, "message": self.message}

    def __str__(self) -> str:
        said = f"{self.origin}  {self.key + ': ' if self.key else ''}{self.message}"
        if self.origin.line is None or self.origin.column is None or not self.origin.text.strip():
            return said
        # Tabs count as one column in YAML's marks; keep them in the pad so that the caret stands right. A Chinese
        # character takes two cells of a terminal.
        start = max(0, self.origin.column - 100) if len(self.origin.text) > 300 else 0  # of a line that is no line
        before = printable(self.origin.text[start : self.origin.column - 1])
        pad = "".join("\t" if c == "\t" else " " * cell_len(c) for c in before)
        return f"{said}\n    {printable(self.origin.text[start:][:300].rstrip())}\n    {pad}^"


class RecipeError(UserError):
    """A recipe that can't be used. `problems` holds every mistake found, in the order of the file."""

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))

    def as_json(self) -> list[dict[str, Any]]:
        """The mistakes for programs, each with its place, key and message."""
        return [problem.as_json() for problem in self.problems]
