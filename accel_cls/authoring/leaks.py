"""Texts that stand more than once: within a part of the data, with other labels, or where a model is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accel_cls.authoring.findings import Case, Finding, texts_in_words
from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.evaluation.suspicion.similar import SIMILAR, similar_pairs


@dataclass(frozen=True)
class Part:
    """Examples of one key of a recipe."""

    key: str  # data.train, data.validation, data.test
    examples: Examples
    texts: list[str]  # of pairs both, on a line each

    @property
    def name(self) -> str:
        """As people say it."""
        return {"data.train": "training"}.get(self.key, self.key.removeprefix("data."))

    @property
    def rows(self) -> tuple[str, ...]:
        """Where each stands."""
        return self.examples.rows


def parts_of(corpus: Corpus) -> list[Part]:
    """Training examples first, then those that a model is judged by."""
    examples = {"data.train": corpus.train} | {f"data.{part}": of for part, of in corpus.judged.items()}
    return [Part(key, of, _joined(of)) for key, of in examples.items()]


def _joined(examples: Examples) -> list[str]:
    return ["\n".join(cells) for cells in examples.texts.cells()]


def repeated(corpus: Corpus, parts: Sequence[Part]) -> Iterator[Finding]:
    """Texts that stand more than once within a part, and those that have different labels anywhere."""
    names = corpus.classes.names
    places: dict[str, list[tuple[str, str, str]]] = {}  # by text: part, row, label
    for part in parts:
        for text, row, label in zip(part.texts, part.rows, part.examples.labels, strict=True):
            places.setdefault(text, []).append((part.key, row, corpus.reader.text_of(label, names)))
    agreeing, disagreeing = [], []
    for text, at in places.items():
        if len(at) < 2:
            continue
        keys, rows, labels = zip(*at, strict=True)
        if len(set(labels)) > 1:
            disagreeing.append(Case(rows, text, labels))
        elif len(set(keys)) < len(keys):
            agreeing.append(Case(rows, text))
    if disagreeing:
        count = sum(len(case.rows) for case in disagreeing)
        yield Finding(
            "conflict",
            f"the same text with different labels: {texts_in_words(len(disagreeing))}, {count:,} rows",
            "decide on one label each; as they are, no model can be right about all of them",
            tuple(disagreeing),
        )
    if agreeing:
        count = sum(len(case.rows) for case in agreeing)
        yield Finding(
            "duplicate",
            f"the same text with the same label: {texts_in_words(len(agreeing))}, {count:,} rows",
            "keep one row each, unless the repetition means something: each copy counts in training and in the score",
            tuple(agreeing),
        )


def leaks(parts: Sequence[Part]) -> Iterator[Finding]:
    """Texts by which a model is judged, and that it, or who chose it, has seen: the same ones, then nearly the same.

    Validation texts may stand in training, test texts in training and in validation. What one split has made of one
    file has none of the first kind.
    """
    for at, part in enumerate(parts[1:], start=1):
        for seen in parts[:at]:
            yield from _same(part, seen)
    for at, part in enumerate(parts[1:], start=1):
        for seen in parts[:at]:
            yield from _nearly_same(part, seen)


def _same(part: Part, seen: Part) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for i, text in enumerate(seen.texts):
        first.setdefault(text, i)
    cases = [Case((part.rows[j], seen.rows[first[text]]), text) for j, text in enumerate(part.texts) if text in first]
    if cases:
        what = "the model was trained on" if seen.key == "data.train" else "it was chosen by"
        yield Finding(
            "leak",
            f"the same text in {part.key} and {seen.key}: {len(cases):,} of {len(part.texts):,} {part.name} "
            f"examples ({len(cases) / len(part.texts):.1%})",
            f"take them out of {seen.key}: the score is of texts that {what}",
            tuple(cases),
        )


def _nearly_same(part: Part, seen: Part) -> Iterator[Finding]:
    known = set(seen.texts)
    new = [j for j, text in enumerate(part.texts) if text not in known]
    pairs, compared = similar_pairs([part.texts[j] for j in new], seen.texts)
    if not pairs:
        return
    cases = [
        Case((part.rows[j], seen.rows[i]), f"{part.texts[j]} ≈ {seen.texts[i]}")
        for j, i in ((new[pair.left], pair.right) for pair in pairs)
    ]
    of = "" if compared == len(new) else f" of {compared:,} that were compared"
    yield Finding(
        "near-duplicate",
        f"nearly the same text in {part.name} and in {seen.name}: {len(cases):,}{of} (equal but for case, spaces and "
        f"signs, or with {SIMILAR:.0%} of their trigrams in common)",
        "if they are copies, templates or one author's series, take them out of one side; if people just say the "
        "same thing often, leave them",
        tuple(cases),
    )
