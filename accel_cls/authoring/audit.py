"""What is odd about the texts and labels of a recipe: each finding with counts, rows and what to do."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from ftfy.badness import BADNESS_RE

from accel_cls.authoring.findings import Case, Finding, texts_in_words
from accel_cls.authoring.leaks import leaks, parts_of, repeated
from accel_cls.authoring.uneven import ADJUSTMENT, is_uneven, times_larger
from accel_cls.data.byte_order_marks import MARK, MarksLeftOut
from accel_cls.data.corpus import Corpus
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.data import Data

_RARE = 10  # training examples under which a class is hardly learned
_SEES_RARE = ("f1_macro", "balanced_accuracy", "precision_macro", "recall_macro", "matthews_correlation")
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


def audit(corpus: Corpus, data: Data, recipe: Recipe) -> list[Finding]:
    """Everything odd about a corpus that needs no tokenizer.

    Args:
        corpus: with its unusable rows dropped, not refused.
        data: says whether training would refuse them.
        recipe: of a training, which says what is done about uneven classes.
    """
    parts = parts_of(corpus)
    findings = [
        *_invalid(corpus, data.invalid == "error"),
        *_marks(corpus),
        *repeated(corpus, parts),
        *_small_split(corpus, data),
        *leaks(parts),
    ]
    for kind, find, what, advice in _TEXT_CHECKS:
        cases = [
            Case((part.rows[i],), text, excerpt=_excerpt(text, at))
            for part in parts
            for i, text in enumerate(part.texts)
            if (at := find(text)) is not None
        ]
        if cases:
            findings.append(Finding(kind, f"{what}: {texts_in_words(len(cases))}", advice, tuple(cases)))
    classes = _classes(corpus, recipe) if corpus.reader.has_classes else ()
    return [*findings, *_half_pairs(corpus), *classes, *_small_parts(corpus)]


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


def _small_split(corpus: Corpus, data: Data) -> Iterator[Finding]:
    """A split that copies of texts keep from being as large as it was asked for."""
    asked = {"validation": data.validation, "test": data.test}
    split = {part: fraction for part, fraction in asked.items() if isinstance(fraction, float)}
    sizes = {part: len(examples) for part, examples in corpus.judged.items() if part in split}
    count = len(corpus.train) + sum(sizes.values())
    for part, found in sizes.items():
        wanted = round(split[part] * count)
        if found >= _SPLIT_SHORT * wanted:
            continue
        yield Finding(
            "small-split",
            f"data.{part} asks for {wanted:,} of {count:,} examples, {found:,} were split off: all copies "
            "of a text are on one side",
            "keep one of each text, or ask for more",
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
    for part in (corpus.train, *corpus.judged.values()):
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


def _classes(corpus: Corpus, recipe: Recipe) -> Iterator[Finding]:
    names = corpus.classes.names
    train = corpus.class_counts(corpus.train)
    judged = {f"data.{part}": corpus.class_counts(examples) for part, examples in corpus.judged.items()}
    yield from alike_classes(names)
    damaged = [repr(name) for name in names if _damaged(name) is not None]
    if damaged:
        yield Finding(
            "encoding",
            f"classes with traces of a wrong encoding in their names: {_listed(damaged)}",
            "mend their labels: as they are, each is a class of its own",
        )
    for key, counts in {"data.train": train, **judged}.items():
        verb = "learned" if key == "data.train" else "evaluated"
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
    if is_uneven(train):
        yield from _uneven(corpus, train, recipe)


def _uneven(corpus: Corpus, train: np.ndarray, recipe: Recipe) -> Iterator[Finding]:
    """Where accuracy hides rare classes: what the recipe does not do about it already.

    Args:
        corpus: the data.
        train: training examples of each class, int64 [classes].
        recipe: of a training.
    """
    missing = []
    if recipe.evaluate.best not in _SEES_RARE:
        missing.append("evaluate by f1_macro (evaluate.metrics, evaluate.best)")
    if not (recipe.loss.logit_adjustment or recipe.train.class_weights or recipe.train.sampling == "balanced"):
        is_single = recipe.task == "single_label"
        raised = f"loss.logit_adjustment={ADJUSTMENT}" if is_single else "train.class_weights=balanced"
        missing.append(f"try {raised}")
    if not missing:
        return
    some, names, share = train[train > 0], corpus.classes.names, train.max() / len(corpus.train)
    large, small = (names[int(np.flatnonzero(train == extreme)[0])] for extreme in (some.max(), some.min()))
    yield Finding(
        "imbalance",
        f"{large} has {times_larger(train):,.0f} times the examples of {small} ({some.max():,} and {some.min():,})",
        f"accuracy hides the small classes (always {large} scores {share:.2f}): {', and '.join(missing)}",
    )


def _small_parts(corpus: Corpus) -> Iterator[Finding]:
    for part, examples in corpus.judged.items():
        if len(examples) < _SMALL:
            known = f"an accuracy of 0.90 is known to ± {margin_of(len(examples)):.2f} only"
            yield Finding(
                f"small-{part}",
                f"{len(examples)} {part} examples: {known if corpus.reader.has_classes else 'few for a score'}",
                f"give more to data.{part}, or compare models by more than the score",
            )


def margin_of(count: int, accuracy: float = 0.9) -> float:
    """Half the 95% interval of an accuracy that was measured on so many examples (normal approximation)."""
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / count)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
