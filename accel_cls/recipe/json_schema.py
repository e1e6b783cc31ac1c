"""The JSON Schema of recipes, for editors: completion, help while hovering, mistakes as they are typed.

accel-cls schema > recipes/recipe.schema.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from accel_cls.profiles import profile_names
from accel_cls.recipe.schema import Recipe

SCHEMA_FILE = "recipe.schema.json"
_TITLE = "accel_cls recipe"
# Draft 7 is what every editor knows. It ignores what stands beside a `$ref`, so all are written out.
_DRAFT = "http://json-schema.org/draft-07/schema#"


def editor_line(to_schema: str = SCHEMA_FILE) -> str:
    """The comment that tells editors which schema a recipe follows; a path is relative to the recipe."""
    return f"# yaml-language-server: $schema={to_schema}"


def json_schema() -> dict[str, Any]:
    """The schema of one recipe file, as Python objects.

    It takes what `load_recipe` takes of a single file: `extends` may supply what is required, and `null`
    resets any key. What spans several keys, only `load_recipe` knows.
    """
    made = Recipe.model_json_schema()
    schema = _tidy(made, made["$defs"])
    required = schema.pop("required")
    data = schema["properties"]["data"]
    schema["anyOf"] = [
        {"required": ["extends"]},
        {"required": required, "properties": {"data": {"required": _of_object(data).pop("required")}}},
    ]
    text = "The recipe that this one is based on; a path, relative to this file."
    schema["properties"] = {"extends": {"type": ["string", "null"], "description": text}, **schema["properties"]}
    schema["properties"]["hardware"]["anyOf"].insert(0, {"enum": ["auto", "default", *profile_names()]})
    return {"$schema": _DRAFT, "title": _TITLE, **schema}


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def write_schema_beside(recipe: Path) -> Path | None:
    """Put the schema into a recipe's folder; None, and nothing done, where another file has that name."""
    path = recipe.parent / SCHEMA_FILE
    if path.exists():
        try:
            if json.loads(path.read_text(encoding="utf-8")).get("title") != _TITLE:
                return None
        except (ValueError, AttributeError):
            return None
    path.write_text(schema_text(), encoding="utf-8")
    return path


def _of_object(schema: dict[str, Any]) -> dict[str, Any]:
    """The arm of a property's schema that describes a mapping."""
    return next(arm for arm in schema["anyOf"] if arm.get("type") == "object")


def _tidy(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A part of pydantic's schema with references written out, plain words as help, and null allowed."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]] | {k: v for k, v in schema.items() if k != "$ref"}
    skipped = ("title", "$defs", "expects", "why")
    tidy: dict[str, Any] = {key: value for key, value in schema.items() if key not in skipped}
    if "anyOf" in tidy:
        tidy["anyOf"] = [_tidy(arm, definitions) for arm in tidy["anyOf"]]
    if isinstance(tidy.get("items"), dict):
        tidy["items"] = _tidy(tidy["items"], definitions)
    if isinstance(tidy.get("additionalProperties"), dict):
        tidy["additionalProperties"] = _tidy(tidy["additionalProperties"], definitions)
    if "properties" in tidy:
        tidy["properties"] = {key: _property(value, definitions) for key, value in tidy["properties"].items()}
    return tidy


def _property(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    tidy = _tidy(schema, definitions)
    help, default = tidy.pop("description", ""), tidy.pop("default", None)
    if isinstance(default, dict):
        default = None  # a section's defaults are those of its keys
    arms = tidy.pop("anyOf", None) or [tidy]
    arms = [arm for arm in arms if arm.get("type") != "null"]
    shown = "" if default is None else f" Default: {json.dumps(default)}."
    said = f"{help[:1].upper()}{help[1:]}. Takes: {schema['expects']}.{shown}"
    # Editors offer a default as completion; null stands for it, so it is no value to offer.
    return {
        "description": said,
        **({} if default is None else {"default": default}),
        "anyOf": [*arms, {"type": "null"}],
    }
