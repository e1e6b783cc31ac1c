"""Easy data augmentation (EDA, Wei and Zou 2019): texts with a few words or characters left out, swapped or mistyped.

What words are to English, characters are to Chinese: its words are not told apart by spaces. What negates is never
touched, or the text would say the opposite of its label. EDA's other half, synonyms, takes a dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from accel_cls.recipe.sections.augment import Edit
from accel_cls.wording import chinese, english
from accel_cls.wording.languages import Language

_WORD = re.compile(r"\S+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


def edited(text: str, language: Language, edits: Sequence[Edit], share: float, draw: Random) -> str:
    """A text after one of the edits, drawn among those that change it; the same where none does.

    Args:
        text: any.
        language: the text's.
        edits: which come into question.
        share: of its words, or of its Chinese characters, that are changed, one of them at least.
        draw: what is drawn from.
    """
    for edit in draw.sample(edits, len(edits)):
        changed = _EDITS[edit](text, language, share, draw)
        if changed != text and changed.strip():
            return changed
    return text


def _deleted(text: str, language: Language, share: float, draw: Random) -> str:
    """Without some words or characters; one at least stays."""
    units = _units(text, language)
    free = [unit for unit in units if not _negates(unit[0], language)]
    left_out = draw.sample(free, min(len(free), len(units) - 1, _count(len(units), share)))
    for found in sorted(left_out, key=lambda unit: -unit.start()):
        end = found.end()
        if language != "Chinese":  # with the space behind it
            end = len(text) - len(text[end:].lstrip(" "))
        text = text[: found.start()] + text[end:]
    return text.rstrip() if left_out else text


def _swapped(text: str, language: Language, share: float, draw: Random) -> str:
    """Words that have changed places with any other one, or neighbouring characters."""
    units = _units(text, language)
    count = _count(len(units), share)
    if language == "Chinese":
        return chinese.swapped(text, draw, count)
    words = [unit[0] for unit in units]
    places = [at for at, word in enumerate(words) if not _negates(word, language)]
    for _ in range(count if len(places) > 1 else 0):
        one, other = draw.sample(places, 2)
        words[one], words[other] = words[other], words[one]
    each = iter(words)
    return _WORD.sub(lambda _: next(each), text)


def _mistyped(text: str, language: Language, share: float, draw: Random) -> str:
    """Characters that sound alike, or letters of a word in another order; nothing in other languages."""
    count = _count(len(_units(text, language)), share)
    if language == "Chinese":
        return chinese.homophones(text, draw, count)
    return english.swapped(text, draw, count) if language == "English" else text


_EDITS = {"delete": _deleted, "swap": _swapped, "typo": _mistyped}


def _units(text: str, language: Language) -> list[re.Match[str]]:
    """The words of a text, or its Chinese characters."""
    return [*(_HAN if language == "Chinese" else _WORD).finditer(text)]


def _negates(unit: str, language: Language) -> bool:
    return unit in chinese.NEGATIONS if language == "Chinese" else english.NEGATING.fullmatch(unit) is not None


def _count(units: int, share: float) -> int:
    return max(1, round(share * units))
