"""The reference page of all recipe keys, made from the schema.

python -m accel_cls.recipe.reference > docs/recipe-reference.md
"""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from accel_cls.recipe.data_section import Data, Fold, Hub
from accel_cls.recipe.decide_section import Decide
from accel_cls.recipe.schema import Checkpoint, Evaluate, Model, Recipe, Repeat, Scratch, Train
from accel_cls.recipe.section import Section

_SECTIONS: tuple[tuple[str, type[Section]], ...] = (
    ("", Recipe),
    ("data", Data),
    ("data.train, data.validation, data.test", Hub),
    ("data.fold", Fold),
    ("model", Model),
    ("model.scratch", Scratch),
    ("train", Train),
    ("evaluate", Evaluate),
    ("decide", Decide),
    ("checkpoint", Checkpoint),
    ("repeat", Repeat),
)


def reference() -> str:
    """The page as Markdown."""
    text = "# Recipe reference\n\nEvery key, made from `accel_cls/recipe/schema.py`. `null` means the default.\n"
    for name, section in _SECTIONS:
        doc = " ".join((section.__doc__ or "").split())
        text += f"\n## {f'`{name}`' if name else 'Top level'}\n\n{doc}\n\n"
        text += "| key | default | takes | meaning |\n| --- | --- | --- | --- |\n"
        for key, info in section.model_fields.items():
            extra: Any = info.json_schema_extra
            cells = [f"`{key}`", _default(info.default), extra["expects"], info.description or ""]
            text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return text


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Section):
        return "see below"
    if value is None:
        return "`null`"
    if isinstance(value, list):
        return f"`[{', '.join(value)}]`"
    return f"`{value}`"


if __name__ == "__main__":
    print(reference(), end="")
