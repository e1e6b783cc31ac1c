"""The reference page of all recipe keys, made from the schema.

python -m accel_cls.recipe.reference > docs/recipe-reference.md
"""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from accel_cls.recipe.keys import names_of
from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.section import Section
from accel_cls.recipe.sections.augment import Augment
from accel_cls.recipe.sections.checkpoint import Checkpoint
from accel_cls.recipe.sections.data import Data, Fold, Hub
from accel_cls.recipe.sections.decide import Decide
from accel_cls.recipe.sections.distill import Distill
from accel_cls.recipe.sections.evaluate import Evaluate
from accel_cls.recipe.sections.few_shot import FewShot
from accel_cls.recipe.sections.loss import Loss
from accel_cls.recipe.sections.model import Model, Scratch
from accel_cls.recipe.sections.pretrain import Pretrain
from accel_cls.recipe.sections.repeat import Repeat
from accel_cls.recipe.sections.search import Range, Search
from accel_cls.recipe.sections.train import Train

_SECTIONS: tuple[tuple[str, type[Section]], ...] = (
    ("", Recipe),
    ("data", Data),
    ("data.train, data.validation, data.test", Hub),
    ("data.fold", Fold),
    ("model", Model),
    ("model.scratch", Scratch),
    ("pretrain", Pretrain),
    ("train", Train),
    ("loss", Loss),
    ("augment", Augment),
    ("distill", Distill),
    ("evaluate", Evaluate),
    ("decide", Decide),
    ("checkpoint", Checkpoint),
    ("repeat", Repeat),
    ("few_shot", FewShot),
    ("search", Search),
    ("search.over.KEY", Range),
)


def reference() -> str:
    """The page as Markdown."""
    source = "`accel_cls/recipe/schema.py` and `accel_cls/recipe/sections/`"
    text = f"# Recipe reference\n\nEvery key, made from {source}. `null` means the default.\n"
    for name, section in _SECTIONS:
        doc = " ".join((section.__doc__ or "").split())
        text += f"\n## {f'`{name}`' if name else 'Top level'}\n\n{doc}\n\n"
        text += "| key | default | takes | meaning |\n| --- | --- | --- | --- |\n"
        for key, info in zip(names_of(section), section.model_fields.values(), strict=True):
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
