"""Which language texts are in, as far as it matters for the ways in which they are changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Language = Literal["Chinese", "English", "other"]

_HAN, _KANA = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"), re.compile("[\u3040-\u30ff]")
_LATIN = re.compile("[A-Za-z]")
_MOSTLY, _MANY = 0.5, 0.3  # of a text's letters; a character of Chinese says as much as several others
_MOST_ASKED = 20_000  # characters


def languages_of(texts: Sequence[str]) -> list[Language]:
    """The language of each text: Chinese by its script, English where all that is in Latin letters is.

    A single short text says too little; the Latin ones are therefore asked about together.
    """
    scripts = [_script_of(text) for text in texts]
    latin = "\n".join(text for text, script in zip(texts, scripts, strict=True) if script == "English")
    if latin and not _is_english(latin[:_MOST_ASKED]):
        return ["other" if script == "English" else script for script in scripts]
    return scripts


def _script_of(text: str) -> Language:
    letters = max(1, sum(character.isalpha() for character in text))
    if len(_HAN.findall(text)) > _MANY * letters and not _KANA.search(text):
        return "Chinese"
    return "English" if len(_LATIN.findall(text)) > _MOSTLY * letters else "other"


def _is_english(text: str) -> bool:
    import py3langid  # loads its model in half a second

    return py3langid.classify(text)[0] == "en"
