"""Ways to change a text, and what a classifier is expected to make of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from accel_cls.wording import chinese, english
from accel_cls.wording.languages import Language
from accel_cls.wording.script import other_script

Change = Callable[[str, Random], str]
Expected = Literal["same", "opposite"]
_ALL: tuple[Language, ...] = ("Chinese", "English", "other")

_MARK = re.compile(r"[，。！？；：、“”‘’（）《》「」…~～—!?;\"()\[\]]|[.,:](?!\d)|(?<!\d)[.,:]")
_BEYOND = re.compile(r"  +")
_ENDS = re.compile(r"[\W_]$")  # a mark, or an emoji
_NEUTRAL = {
    "Chinese": ("这段话写于星期三。", "以上是全部内容。", "这是我昨天写的。", "写完的时候是下午三点。"),
    "English": (
        "I wrote this on a Wednesday.",
        "That is all I have written.",
        "This was written in the afternoon.",
        "I am writing this at home.",
    ),
}


@dataclass(frozen=True)
class Transformation:
    """One way to change a text."""

    name: str
    expected: Expected  # of the answer: opposite only where the classes are opinions
    changes: dict[Language, Change]  # by the language of the text; what is not there stays as it is

    def apply(self, text: str, language: Language, draw: Random) -> str:
        """The changed text; the same where there is nothing to change."""
        change = self.changes.get(language)
        return text if change is None else change(text, draw)


def _unmarked(text: str, draw: Random) -> str:
    """Without punctuation; but 3.5 and 10:30 stay."""
    return _MARK.sub("", text).strip()


def _unmarked_words(text: str, draw: Random) -> str:
    return _BEYOND.sub(" ", _MARK.sub(" ", text)).strip()


def _exclaimed(mark: str) -> Change:
    return lambda text, draw: text + mark * 3


def _with_emoji(text: str, draw: Random) -> str:
    return f"{text}📝"  # one that says neither good nor bad


def _doubled(stop: str) -> Change:
    return lambda text, draw: f"{_ended(text, stop)}{text}"


def _with_neutral(language: Language, stop: str) -> Change:
    return lambda text, draw: f"{_ended(text, stop)}{draw.choice(_NEUTRAL[language])}"


def _ended(text: str, stop: str) -> str:
    """The text as a sentence that another one can follow."""
    return text + (" " * stop.endswith(" ") if _ENDS.search(text) else stop)


def _by(change: Callable[[str], str]) -> Change:
    return lambda text, draw: change(text)


def _cased(change: Change) -> dict[Language, Change]:
    return {"English": change, "other": change}


TRANSFORMATIONS = (
    Transformation(
        "punctuation removed",
        "same",
        {"Chinese": _unmarked, "English": _unmarked_words, "other": _unmarked_words},
    ),
    Transformation(
        "exclamation marks added",
        "same",
        {"Chinese": _exclaimed("！"), "English": _exclaimed("!"), "other": _exclaimed("!")},
    ),
    Transformation("full or half width", "same", {"Chinese": _by(chinese.other_width)}),
    Transformation("traditional or simplified", "same", {"Chinese": _by(other_script)}),
    Transformation("homophones", "same", {"Chinese": chinese.homophones}),
    Transformation("letters swapped", "same", {"Chinese": chinese.swapped, "English": english.swapped}),
    Transformation("spaces", "same", {"Chinese": chinese.spaced, "English": english.spaced}),
    Transformation("upper case", "same", _cased(_by(str.upper))),
    Transformation("lower case", "same", _cased(_by(str.lower))),
    Transformation("emoji appended", "same", dict.fromkeys(_ALL, _with_emoji)),
    Transformation(
        "text twice", "same", {"Chinese": _doubled("。"), "English": _doubled(". "), "other": _doubled(" ")}
    ),
    Transformation(
        "neutral sentence appended",
        "same",
        {"Chinese": _with_neutral("Chinese", "。"), "English": _with_neutral("English", ". ")},
    ),
    Transformation("negation", "opposite", {"Chinese": _by(chinese.negated), "English": _by(english.negated)}),
)
