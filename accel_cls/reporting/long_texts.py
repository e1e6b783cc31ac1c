"""What a model reads of texts that are longer than it takes, in words."""

from __future__ import annotations

from accel_cls.recipe.sections.data import Data

_KEPT = {"end": "beginning", "start": "end", "middle": "beginning and end"}


def how_cut(data: Data) -> str:
    """For whoever knows the recipe's words."""
    if data.windows is None:
        return f"of longer texts the {data.truncate} is cut off"
    return (
        f"longer texts are read in {data.windows.most} windows at most, and of those that are longer still the "
        f"{data.truncate} is cut off"
    )


def what_is_read(data: Data) -> str:
    """For whoever has the model alone."""
    kept = _KEPT[data.truncate]
    if data.windows is None:
        return f"Of texts longer than {data.max_length} tokens only the {kept} {_are(kept)} read."
    return (
        f"Texts longer than {data.max_length} tokens are read in windows of that many, {data.windows.overlap} in "
        f"common, {data.windows.most} at most, and answered by the {data.windows.pooling} of their vectors; of what "
        f"is longer than all of them only the {kept} {_are(kept)} read."
    )


def what_truncation_does(data: Data) -> str:
    """Of transformers' own way with such a text."""
    cut = f"`truncation=True` cuts texts at {data.max_length} tokens"
    if data.windows is not None:
        return f"{cut}: `pipeline` reads one window. `accel-cls predict` reads all, as training did."
    if data.truncate == "middle":
        return f"{cut}, but keeps their beginning alone; `accel-cls predict` reads their end, too, as training did."
    return f"{cut}, as training did."


def _are(kept: str) -> str:
    return "are" if " and " in kept else "is"
