"""docs/models.md: the table of all families, as it was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tools.model_matrix.checks import Row

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "models.md"
_BEGIN, _END = "<!-- models: written by python -m tools.model_matrix --publish -->", "<!-- end of models -->"
_HEAD = ["family", "class", "texts", "pairs", "longest text", "notes"]


def line(row: Row) -> str:
    """A family's row of the table, in Markdown."""
    notes = [*map(_short, row.notes), *(f"**not right**: {failure}" for failure in row.failures)]
    cells = [row.family, row.kind.removesuffix("ForSequenceClassification"), row.texts, row.pairs, row.longest]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in [*cells, "; ".join(notes)]) + " |"


def table(rows: Sequence[Row]) -> str:
    """All of them."""
    head = ["| " + " | ".join(_HEAD) + " |", "|" + " --- |" * len(_HEAD)]
    return "\n".join([*head, *map(line, rows)])


def publish(rows: Sequence[Row], path: Path = PAGE) -> None:
    """Put the table into the page, in place of the one that is there."""
    before, rest = path.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    path.write_text(f"{before}{_BEGIN}\n{table(rows)}\n{_END}{after}", encoding="utf-8")


def published(path: Path = PAGE) -> dict[str, str]:
    """The page's rows by family."""
    text = path.read_text(encoding="utf-8").split(_BEGIN)[1].split(_END)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]  # behind the head
    return {line.split("|")[1].strip(): line for line in lines}


def _short(note: str) -> str:
    """A note without what is the same for all: names of folders and classes, lists of parameters."""
    note = re.sub(r"^model\.name: (the model, )?a \w+,? ", "", note)
    note = re.sub(r"the model of the folder 'the model' ", "", note)
    note = re.sub(r"no answer depends on (.*): not trained", r"\1: not trained", note)
    note = note.removesuffix(". Take another model").removeprefix("model.name: ")
    if "has no padding token" in note:
        return "a token for padding is chosen"
    if "names no padding token" in note or "as its padding token" in note:
        return "its configuration is told the padding token"
    return note if len(note) <= 160 else note[:159] + "…"
