"""What is odd about the texts and labels of a recipe: each finding with counts, rows and what to do."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ftfy.badness import BADNESS_RE

from accel_cls.authoring.similar import SIMILAR, similar_pairs
from accel_cls.data.byte_order_marks import MARK, MarksLeftOut
from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples

IMBALANCE = 10  # the largest class over the smallest from which on accuracy hides the smallest
_RARE = 10  # training examples under which a class is hardly learned
_SMALL = 200  # validation examples under which a score's error margin is over four points
_SPLIT_SHORT = 0.75  # of the examples that a split was to have: fewer are told
# What does not show besides Unicode's format characters: what joins, fills, or chooses among a character's forms.
_HIDDEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# What GBK makes of UTF-8's replacement characters and of uninitialized memory; the C1 controls that a
# wrong "latin-1" leaves; U+FFFD itself. ftfy knows the mojibake of the other encodings.
_DAMAGE = re.compile("[\ufffd\x80-\x84\x86-\x9f\x00-\x08\x0b\x0e-\x1f]|锟斤拷|烫烫烫|屯屯屯")
_MARKUP = re.compile(
    r"</?(?:a|b|br|div|em|font|h[1-6]|i|img|li|p|span|strong|table|td|tr|u|ul)\b[^<>]*>|&(?:[a-z]{2,8}|#\d{2,5});",
    re.I,
)


@dataclass(frozen=True)
class Case:
    """One place of a finding: rows that belong together, and the text that stands there."""

    rows: tuple[str, ...]
    text: str = ""
    labels: tuple[str, ...] = ()  # of the rows, where they differ
    excerpt: str = ""  # the part of the text that is meant, what does not print written as \x08


@dataclass(frozen=True)
class Finding:
    """Something that an author should look at."""

    kind: str  # one of the words in docs/check.md
    what: str  # what was found, with counts
    advice: str  # what to do about it
    cases: tuple[Case, ...] = ()
    is_error: bool = False  # training would refuse


def audit(corpus: Corpus, fraction: float | None, refuses_invalid: bool) -> list[Finding]:
    """Everything odd about a corpus that needs no tokenizer.

    Args:
        corpus: with its unusable rows dropped, not refused.
        fraction: of the examples that data.validation asks for; None where it is a source of its own.
        refuses_invalid: training would refuse the dropped rows.
    """
    train, validation = _joined(corpus.train), _joined(corpus.validation)
    findings = [*_invalid(corpus, refuses_invalid), *_marks(corpus), *_repeated(corpus, [*train, *validation])]
    if fraction is not None:
        findings += _small_split(corpus, fraction)
    else:
        findings += _in_both(corpus, train, validation)
    findings += _nearly_in_both(corpus, train, validation)
    for kind, find, what, advice in _TEXT_CHECKS:
        cases = [
            Case((part.rows[i],), texts[i], excerpt=_excerpt(texts[i], at))
            for part, texts in ((corpus.train, train), (corpus.validation, validation))
            for i in range(len(texts))
            if (at := find(texts[i])) is not None
        ]
        if cases:
            findings.append(Finding(kind, f"{what}: {_texts(len(cases))}", advice, tuple(cases)))
    return [*findings, *_half_pairs(corpus), *_classes(corpus)]


def _joined(examples: Examples) -> list[str]:
    """The text of each example; of pairs both, on a line each."""
    columns = [examples.texts[name][:] for name in examples.texts.column_names]
    return ["\n".join(cells) for cells in zip(*columns, strict=True)]


def _invalid(corpus: Corpus, refuses: bool) -> Iterator[Finding]:
    for fault in corpus.invalid:
        count = len(fault.rows)
        yield Finding(
            "invalid",
            f"{fault.key}: {fault.reason} in {count:,} row{'s' if count > 1 else ''}",
            "mend these rows, or leave them out with data.invalid=drop"
            if refuses
            else "left out, as data.invalid says",
            tuple(Case((row,)) for row in fault.rows),
            is_error=refuses,
        )


def _marks(corpus: Corpus) -> Iterator[Finding]:
    """Byte-order marks that were left out; of those in texts, which stay, a check of texts tells."""
    places = dict.fromkeys(p for note in corpus.notes if isinstance(note, MarksLeftOut) for p in note.places)
    if places:
        what = f"byte-order marks (U+FEFF) that are left out of labels, column names or lines: {len(places):,}"
        yield Finding(_MARKS, what, _NO_MARKS, tuple(Case((place,)) for place in places))


def _small_split(corpus: Corpus, fraction: float) -> Iterator[Finding]:
    """A split that copies of texts keep from being as large as it was asked for."""
    found, count = len(corpus.validation), len(corpus.train) + len(corpus.validation)
    wanted = round(fraction * count)
    if found < _SPLIT_SHORT * wanted:
        yield Finding(
            "small-split",
            f"data.validation asks for {wanted:,} of {count:,} examples, {found:,} were split off: all copies "
            "of a text are on one side",
            "keep one of each text, or ask for more",
        )


def _repeated(corpus: Corpus, texts: Sequence[str]) -> Iterator[Finding]:
    """Texts that stand more than once within training or within validation, or across a split of our making."""
    rows = (*corpus.train.rows, *corpus.validation.rows)
    names = corpus.classes.names
    labels = [
        corpus.reader.text_of(label, names) for part in (corpus.train, corpus.validation) for label in part.labels
    ]
    places: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        places.setdefault(text, []).append(i)
    split = len(corpus.train)
    agreeing, disagreeing = [], []
    for text, at in places.items():
        if len(at) < 2:
            continue
        own = tuple(labels[i] for i in at)
        if len(set(own)) > 1:
            disagreeing.append(Case(tuple(rows[i] for i in at), text, own))
        elif sum(i < split for i in at) > 1 or sum(i >= split for i in at) > 1:
            agreeing.append(Case(tuple(rows[i] for i in at), text))
    if disagreeing:
        count = sum(len(case.rows) for case in disagreeing)
        yield Finding(
            "conflict",
            f"the same text with different labels: {_texts(len(disagreeing))}, {count:,} rows",
            "decide on one label each; as they are, no model can be right about all of them",
            tuple(disagreeing),
        )
    if agreeing:
        count = sum(len(case.rows) for case in agreeing)
        yield Finding(
            "duplicate",
            f"the same text with the same label: {_texts(len(agreeing))}, {count:,} rows",
            "keep one row each, unless the repetition means something: each copy counts in training and in the score",
            tuple(agreeing),
        )


def _in_both(corpus: Corpus, train: Sequence[str], validation: Sequence[str]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for i, text in enumerate(train):
        first.setdefault(text, i)
    cases = [
        Case((corpus.validation.rows[j], corpus.train.rows[first[text]]), text)
        for j, text in enumerate(validation)
        if text in first
    ]
    if cases:
        yield Finding(
            "leak",
            f"the same text in data.validation and data.train: {len(cases):,} of {len(validation):,} validation "
            f"examples ({len(cases) / len(validation):.1%})",
            "take them out of data.train: the score is of texts that the model was trained on",
            tuple(cases),
        )


def _nearly_in_both(corpus: Corpus, train: Sequence[str], validation: Sequence[str]) -> Iterator[Finding]:
    known = set(train)
    new = [j for j, text in enumerate(validation) if text not in known]
    pairs, compared = similar_pairs([validation[j] for j in new], train)
    if not pairs:
        return
    cases = [
        Case((corpus.validation.rows[j], corpus.train.rows[i]), f"{validation[j]} ≈ {train[i]}")
        for j, i in ((new[pair.left], pair.right) for pair in pairs)
    ]
    of = "" if compared == len(new) else f" of {compared:,} that were compared"
    yield Finding(
        "near-duplicate",
        f"nearly the same text in validation and in training: {len(cases):,}{of} (equal but for case, spaces and "
        f"signs, or with {SIMILAR:.0%} of their trigrams in common)",
        "if they are copies, templates or one author's series, take them out of one side; if people just say the "
        "same thing often, leave them",
        tuple(cases),
    )


def _tiny(text: str) -> int | None:
    has_words = any(unicodedata.category(c)[0] in "LNS" for c in text)
    return None if has_words and len(text.strip()) > 1 else 0


def _damaged(text: str) -> int | None:
    found = _DAMAGE.search(text) or BADNESS_RE.search(text)
    return found.start() if found else None


def _marked_up(text: str) -> int | None:
    found = _MARKUP.search(text)
    return found.start() if found else None


def _marked(text: str) -> int | None:
    return at if (at := text.find(MARK)) >= 0 else None


_MARKS = "byte-order-mark"
_NO_MARKS = "delete them: they stand where files were put together, or where a program added one more, and do not show"
# (kind, where in a text it begins, what the texts are, what to do)
_TEXT_CHECKS: tuple[tuple[str, Callable[[str], int | None], str, str], ...] = (
    (
        "tiny",
        _tiny,
        "texts of one character, or of punctuation only",
        "see whether their labels can be told from them at all; if not, take them out",
    ),
    (
        "encoding",
        _damaged,
        "texts with traces of a wrong encoding (such as \ufffd, Ã© or 锟斤拷), or with control characters",
        "export the data again as UTF-8; what is lost can't be guessed. Control characters can be deleted",
    ),
    (_MARKS, _marked, "texts with a byte-order mark (U+FEFF) in them, which the model sees", _NO_MARKS),
    (
        "markup",
        _marked_up,
        "texts with HTML tags or entities",
        "strip them if texts to come will have none: the model learns them as words",
    ),
)


def _excerpt(text: str, at: int) -> str:
    """Some 60 characters of a text around a place."""
    begin = max(0, at - 20) if len(text) > 60 else 0
    part = text[begin : begin + 60]
    shown = "".join(c if c.isprintable() else " " if c in "\n\t" else ascii(c)[1:-1] for c in part)
    return f"{'…' if begin else ''}{shown}{'…' if begin + 60 < len(text) else ''}"


def _half_pairs(corpus: Corpus) -> Iterator[Finding]:
    cases = []
    for part in (corpus.train, corpus.validation):
        if "pair" in part.texts.column_names:
            both = zip(part.texts["text"][:], part.texts["pair"][:], strict=True)
            cases += [
                Case((part.rows[i],), f"{a}{b}") for i, (a, b) in enumerate(both) if not a.strip() or not b.strip()
            ]
    if cases:
        yield Finding(
            "half-pair",
            f"pairs of which one text is empty: {len(cases):,}",
            "fill them in, or take them out: there is nothing to compare",
            tuple(cases),
        )


def alike_classes(names: Sequence[str]) -> Iterator[Finding]:
    """A finding where classes have names that people take for one."""
    forms: dict[str, list[str]] = {}
    for name in names:
        # Signs count here: -1 and 1, C and C++ are different classes.
        seen = "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if not _is_hidden(c))
        forms.setdefault(" ".join(re.split(r"[\s_]+", seen)), []).append(name)
    alike = [same for same in forms.values() if len(same) > 1]
    if alike:
        yield Finding(
            "alike-classes",
            "classes that differ in case, width, spaces or what does not show only: "
            + "; ".join(" and ".join(map(_spelled, same)) for same in alike),
            "give each class one name in the data",
        )


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or bool(_HIDDEN.match(character))


def _spelled(name: str) -> str:
    """A name in quotes, what does not show in it written as \\u200b."""
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], repr(name))


def _classes(corpus: Corpus) -> Iterator[Finding]:
    names = corpus.classes.names
    train, validation = (corpus.class_counts(part) for part in (corpus.train, corpus.validation))
    yield from alike_classes(names)
    damaged = [repr(name) for name in names if _damaged(name) is not None]
    if damaged:
        yield Finding(
            "encoding",
            f"classes with traces of a wrong encoding in their names: {_listed(damaged)}",
            "mend their labels: as they are, each is a class of its own",
        )
    for counts, key, verb in ((train, "data.train", "learned"), (validation, "data.validation", "evaluated")):
        missing = [name for name, count in zip(names, counts, strict=True) if not count]
        if missing:
            yield Finding(
                "missing-class",
                f"{key} has no example of {_listed(missing)}: can't be {verb}",
                "add examples, or take the class out of data.labels",
            )
    rare = [f"{name} ({count})" for name, count in zip(names, train, strict=True) if 0 < count < _RARE]
    if rare:
        yield Finding(
            "rare-class",
            f"classes with fewer than {_RARE} training examples: {_listed(rare)}",
            "add examples, or join the class with another one",
        )
    some = train[train > 0]
    if len(some) > 1 and some.max() >= IMBALANCE * some.min():
        large, small = (names[int(np.flatnonzero(train == extreme)[0])] for extreme in (some.max(), some.min()))
        share = some.max() / len(corpus.train)
        yield Finding(
            "imbalance",
            f"{large} has {some.max() / some.min():,.0f} times the examples of {small} "
            f"({some.max():,} and {some.min():,})",
            f"accuracy hides the small classes (always {large} scores {share:.2f}): evaluate by f1_macro "
            "(evaluate.metrics, evaluate.best), and try train.class_weights=balanced",
        )
    if len(corpus.validation) < _SMALL:
        margin = margin_of(len(corpus.validation))
        yield Finding(
            "small-validation",
            f"{len(corpus.validation)} validation examples: an accuracy of 0.90 is known to ± {margin:.2f} only",
            "give more to data.validation, or compare models by more than the score",
        )


def margin_of(count: int, accuracy: float = 0.9) -> float:
    """Half the 95% interval of an accuracy that was measured on so many examples (normal approximation)."""
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / count)


def _texts(count: int) -> str:
    return f"{count:,} text{'' if count == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
