"""Lists in a cell of text, as JSON, Python and numpy write them; and those that are vectors of 0 and 1."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

_ITEM = r"""(?:[-+\w.]+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
# numpy puts blanks between items where Python has commas. Two texts side by side are one text to Python.
_NUMPY = re.compile(rf"\[\s*({_ITEM}(?:\s+{_ITEM})+)\s*\]")
BITS = {"1": True, "true": True, "0": False, "false": False}  # canonical labels


def read_list(text: str) -> list[Any] | None:
    """The items of a list that a cell holds; None for any other text.

    pandas' `to_csv` writes lists, tuples and sets as Python does, and arrays as numpy does. A tuple or set of anything
    but texts is none: (18, 25) may be a class.
    """
    text = text.strip()
    if text[:1] not in ("[", "(", "{") and text != "set()":
        return None
    if found := _NUMPY.fullmatch(text):
        items = re.findall(_ITEM, found[1])
        return None if "..." in items else [_item(item) for item in items]
    for read in (json.loads, ast.literal_eval):  # the second runs nothing
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):  # no list: a name that begins so
            continue
        if isinstance(value, list):
            return value
        if isinstance(value, tuple | set) and all(isinstance(item, str) for item in value):
            return sorted(value) if isinstance(value, set) else [*value]
    return None


def _item(written: str) -> str:
    return str(ast.literal_eval(written)) if written[0] in "'\"" else written


def vector_length(labels: Iterable[Sequence[str]]) -> int | None:
    """How many entries each label has where all are vectors of 0 and 1; None for lists of names.

    Args:
        labels: the items of each cell, canonical, as often as they stand there.
    """
    lengths: set[int] = set()
    items: set[str] = set()
    for label in labels:
        lengths.add(len(label))
        items.update(label)
        if len(lengths) > 1 or not items <= BITS.keys():
            return None
    return lengths.pop() if lengths and max(lengths) > 1 else None
