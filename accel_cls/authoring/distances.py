"""Whether labels have distances: numbers, or classes in an order, as the cells and the name of their column show."""

from __future__ import annotations

import re
from collections.abc import Sequence

from accel_cls.authoring.columns import named_like
from accel_cls.recipe.canonical import canonical_label

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_RATINGS = re.compile(r"ratings?|stars?|scores?|grades?|levels?|评分|星级|打分|等级")
_MOST_CLASSES = 20  # different numbers, from which on fractions are no names of classes
_STEPS = (3, 10)  # classes of a rating, the fewest and the most


def numbers_why(cells: Sequence[str]) -> str | None:
    """What shows that a label column holds numbers, not classes; None where it does not."""
    values = {canonical_label(cell) for cell in cells if cell.strip()}
    if len(values) <= _MOST_CLASSES or not all(_NUMBER.fullmatch(value) for value in values):
        return None
    with_fraction = sum(not re.fullmatch(r"[-+]?[0-9]+", value) for value in values)
    return f"its cells are {len(values):,} different numbers, some with a fraction" if with_fraction else None


def order_why(name: str, cells: Sequence[str]) -> str | None:
    """What shows that the classes of a label column are in an order; None where nothing does."""
    values = {canonical_label(cell) for cell in cells if cell.strip()}
    if not named_like(name, _RATINGS) or not all(re.fullmatch(r"[0-9]{1,3}", value) for value in values):
        return None
    found = sorted(map(int, values))
    in_a_row = [*range(found[0], found[0] + len(found))] if found else []
    if not _STEPS[0] <= len(found) <= _STEPS[1] or found != in_a_row:
        return None
    return f"{name!r} is called like a rating, and its cells are {found[0]} to {found[-1]}"
