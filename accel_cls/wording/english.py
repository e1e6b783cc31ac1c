"""English texts written in other ways: letters in another order, the opposite."""

from __future__ import annotations

import re
from random import Random

_PER_TYPO = 60  # characters of a text, for each of which there is one more
_WORD = re.compile("[A-Za-z]{4,}")
# A word that negates, perhaps with marks around it.
NEGATING = re.compile(r"\W*(?:not?|never|none|nothing|nobody|neither|nor|without|cannot|.+n['’]t)\W*", re.IGNORECASE)
_AUXILIARY = "is|are|was|were|am|can|could|will|would|should|must|do|does|did|have|has|had"
_NEGATED = re.compile(rf"\b(ca|wo|sha|{_AUXILIARY})n['’]t\b|\s+not\b(?! only)|\bcannot\b|\bnever\b", re.IGNORECASE)
_PRONOUN = "it|this|that|there|he|she|they|you|we|i"
_SAID = re.compile(
    rf"\b(is|are|was|were|am|can|could|will|would|should|must|i'm|it's)\b(?! (?:{_PRONOUN})\b)", re.IGNORECASE
)
_VERBS = {"loved": "love", "liked": "like", "enjoyed": "enjoy", "recommended": "recommend", "worked": "work"}
_PRESENT = re.compile(r"\b(I|we|they|you)( \w+ly)? (love|like|enjoy|recommend|want|need|know|think)\b", re.IGNORECASE)
_PAST = re.compile(rf"\b(?:really )?({'|'.join(_VERBS)})\b", re.IGNORECASE)
_QUALITY = re.compile(
    r"\b(?:(?:very|really|so|quite|pretty|too) )?(good|great|bad|nice|fresh|tasty|delicious|friendly|clean|fast|slow|"
    r"cheap|expensive|happy|sad|funny|boring|useful|easy|hard|terrible|awful|excellent|amazing|perfect|rude|cold)\b",
    re.IGNORECASE,
)


def swapped(text: str, draw: Random, count: int | None = None) -> str:
    """Two neighbouring letters of a word in the other order, none that negates; of long texts several, or `count`."""
    words = [word for word in _WORD.finditer(text) if not NEGATING.fullmatch(word[0])]
    places = [i for word in words for i in range(word.start() + 1, word.end() - 2)]
    places = [i for i in places if text[i].lower() != text[i + 1].lower()]
    letters = list(text)
    for i in draw.sample(places, min(len(places), count or 1 + len(text) // _PER_TYPO)):
        letters[i], letters[i + 1] = letters[i + 1], letters[i]
    return "".join(letters)


def spaced(text: str, draw: Random) -> str:
    """Each space twice."""
    return text.replace(" ", "  ")


def negated(text: str) -> str:
    """The opposite: denied where nothing is, else without what denies it. The same where neither is there."""
    for pattern, by in (
        (_NEGATED, _without_not),
        (_SAID, lambda found: f"{found[0]} not"),
        (_PRESENT, lambda found: f"{found[1]} do not {found[3]}"),
        (_PAST, lambda found: f"did not {_VERBS[found[1].lower()]}"),
        (_QUALITY, lambda found: f"not {found[1].lower()}"),
    ):
        if pattern.search(text):
            changed = pattern.sub(by, text)
            return changed[:1].upper() + changed[1:] if text[:1].isupper() else changed
    return text


def _without_not(found: re.Match[str]) -> str:
    said = found[0].lower()
    if found[1] is None:
        return {"cannot": "can", "never": "always"}.get(said, "")
    return {"ca": "can", "wo": "will", "sha": "shall"}.get(found[1].lower(), found[1])
