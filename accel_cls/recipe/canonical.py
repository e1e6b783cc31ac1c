"""Values that a recipe and a data file write in several ways."""

from __future__ import annotations

import codecs
import re


def canonical_label(value: object) -> str:
    """A label as the text that it is compared by: 1, "1", " 1 ", 1.0 are the same label; so are True and "true"."""
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    whole = re.fullmatch(r"\+?(-?(?:0|[1-9][0-9]*))(?:\.0*)?", text)
    return whole[1] if whole else text


def is_encoding(name: str) -> bool:
    """Whether Python knows a text encoding of this name."""
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except (LookupError, ValueError):  # ValueError: a NUL in it
        return False
