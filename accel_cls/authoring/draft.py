"""A first recipe for a data file: what was found in it, what was decided, and why."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accel_cls.authoring.columns import Choice, Table
from accel_cls.authoring.hyperparameters import Lines, from_scratch, pretrained, when_to_evaluate
from accel_cls.authoring.labelling import Labelling
from accel_cls.authoring.survey import Survey
from accel_cls.authoring.uneven import ADJUSTMENT, is_uneven, times_larger
from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.data.split import can_split, distinct_texts, split_examples
from accel_cls.errors import UserError
from accel_cls.profiles import shell
from accel_cls.recipe import Recipe
from accel_cls.recipe.json_schema import editor_line
from accel_cls.recipe.metrics import DISTANCE_METRICS
from accel_cls.recipe.source import to_yaml_line

_CUT = 0.02  # share of the texts that max_length may cut
_CUT_OF_NGRAMS = 0.001  # likewise of a bag of n-grams, for which longer texts cost little
_SEED = Recipe.model_fields["seed"].default  # the split of a recipe that says none
_NAMED = 50  # classes that a recipe lists
_MANY = 0.1  # share of the examples that is split off, from which on it is worth to learn them, too


@dataclass(frozen=True)
class Draft:
    """A recipe's text, and the decisions that it rests on."""

    text: str
    decisions: tuple[tuple[str, str], ...]  # (about what, what and why)


@dataclass(frozen=True)
class Wishes:
    """What the author has said, besides the data."""

    name: str
    validation: Path | None  # a validation file
    test: Path | None  # a test file
    model: str | None  # a hub id or a folder; None for a model from scratch
    quick: bool  # the head alone is trained
    class_names: tuple[str, ...] | None  # of the classes in their order
    class_names_from: str  # where those names are from
    recipe: Path  # where the recipe will lie


def draft(table: Table, text: Choice, labelling: Labelling, found: Survey, wishes: Wishes) -> Draft:
    """Write a recipe that runs as it is, each decision beside its reason."""
    decisions: list[tuple[str, str]] = []
    split = _split_off(found) if wishes.validation is None else None
    count = len(found.corpus.train) - (split.rows if split is not None else 0)
    data = _data(table, text, labelling, found, wishes, split, decisions)
    average: Lines = []
    if wishes.model is None:
        model, train = from_scratch(found, count, decisions)
    else:
        model, train, average = pretrained(found, labelling, count, _model_name(wishes), wishes.quick, decisions)
    loss = _loss(found, labelling, decisions)
    evaluate = [*_evaluate(found, labelling, decisions), *when_to_evaluate(not train, count, decisions)]
    sections = {"data": data, "model": model, "train": train, "loss": loss, "average": average, "evaluate": evaluate}
    body = "".join(
        f"\n{name}:\n" + "".join(_line(*entry) for entry in lines) for name, lines in sections.items() if lines
    )
    body += _refit(split, len(found.corpus.train), wishes.quick, decisions)
    head = (
        f"{editor_line()}\n"
        f"# {_one_line(_title(found, table))}\n"
        "#\n"
        f"#   {shell(['accel-cls', 'check', str(wishes.recipe)])}\n"
        f"#   {shell(['accelerate', 'launch', '-m', 'accel_cls.train', str(wishes.recipe)])}\n"
        "#\n"
        f"name: {to_yaml_line(wishes.name)}\n"
        f"output: {to_yaml_line(f'runs/{wishes.name}')}\n"
    )
    if labelling.task != "single_label":
        head += f"task: {labelling.task}  # {_one_line(f'{labelling.what}: {labelling.why}')}\n"
    return Draft(head + body, tuple(decisions))


def slug(text: str) -> str:
    """A short name for recipes and folders: letters and digits of any script, joined by underscores."""
    return "_".join(re.findall(r"\w+", text)) or "classifier"


def _title(found: Survey, table: Table) -> str:
    kinds = "text pairs" if "pair" in found.corpus.train.texts.column_names else "texts"
    count = len(found.corpus.train)
    labels = f"in {len(found.counts)} classes" if found.has_classes else "with numbers"
    return f"{count:,} {kinds} of {table.path.name} {labels}; language: {found.language}."


def _data(
    table: Table,
    text: Choice,
    labelling: Labelling,
    found: Survey,
    wishes: Wishes,
    split: _Split | None,
    decisions: list[tuple[str, str]],
) -> Lines:
    corpus = found.corpus
    lines: Lines = [("train", _relative(table.path, wishes.recipe.parent), "")]
    if split is None:
        assert wishes.validation is not None
        lines.append(("validation", _relative(wishes.validation, wishes.recipe.parent), ""))
        decisions.append(("validation", f"{wishes.validation.name}, {len(corpus.validation):,} examples"))
    else:
        why = f"{_drawn(split, corpus)}; the same text never on both sides"
        lines.append(("validation", split.fraction, why))
        decisions.append(("validation", f"{split.fraction} of the examples, {why}"))
    if wishes.test is not None and corpus.test is not None:
        why = f"{len(corpus.test):,} examples, scored once at the end; nothing is chosen by them"
        lines.append(("test", _relative(wishes.test, wishes.recipe.parent), why))
        decisions.append(("test", f"{wishes.test.name}, {why}"))
    for role, choice in (("text", text), ("label", labelling.choice)):
        value = list(choice.columns) if len(choice.columns) > 1 else choice.columns[0]
        others = "".join(f"; or is it {to_yaml_line(list(o) if len(o) > 1 else o[0])}?" for o in choice.others[:2])
        lines.append((role, value, choice.why + others))
        decisions.append((role, f"{to_yaml_line(value)}: {choice.why}{others}"))
    if labelling.task != "single_label":
        decisions.append(("task", f"{labelling.task}: {labelling.what}; {labelling.why}"))
    if labelling.separator is not None:
        lines.append(("label_separator", labelling.separator, "what stands between the classes in a cell"))
    if table.header is not None:
        lines.append(("columns", table.header, "the file has no header line"))
        decisions.append(
            ("columns", f"{to_yaml_line(table.header)}: the first line looks like data, not like a header")
        )
    if table.separator is not None:
        lines.append(("separator", table.separator, "what stands between the cells"))
        decisions.append(("separator", f"{table.separator!r} cuts all lines into equally many cells"))
    if table.quote is not None:
        lines.append(("quote", table.quote, f"cells stand in {table.quote} quotes, as 'this; and that'"))
        decisions.append(("quote", f"{table.quote}: with such quotes around cells all rows have equally many"))
    if table.encoding is not None:
        lines.append(("encoding", table.encoding, "what the file is written in"))
        decisions.append(("encoding", f"{table.encoding}: the file is not UTF-8"))
    if len(labelling.choice.columns) == 1 and found.has_classes:
        lines.append(_classes(found, wishes, bool(labelling.entries), decisions))
    lines.append(_max_length(found, wishes, decisions))
    if corpus.invalid:
        count = sum(len(fault.rows) for fault in corpus.invalid)
        faults = "; ".join(map(str, corpus.invalid))
        lines.append(("invalid", "drop", f"leaves out {count}: {faults}"))
        decisions.append(("invalid", f"drop: {faults}"))
    return lines


def _max_length(found: Survey, wishes: Wishes, decisions: list[tuple[str, str]]) -> tuple[str, Any, str]:
    """The line with the length that few texts exceed."""
    fitting = [kept for kept in found.kept if kept.max_length <= found.limit]
    most = _CUT_OF_NGRAMS if wishes.model is None else _CUT
    longest = next((kept for kept in fitting if kept.cut <= most), fitting[-1])
    why = f"tokens; cuts {longest.cut:.1%} of the texts, the longest has {found.longest}"
    if longest.cut > most:
        ways = "truncate: middle" if wishes.model is None else "truncate: middle, or windows,"
        why += f"; accel-cls check tells what {ways} would read of these"
    decisions.append(("max_length", f"{longest.max_length} {why}"))
    return ("max_length", longest.max_length, why)


def _classes(
    found: Survey, wishes: Wishes, by_position: bool, decisions: list[tuple[str, str]]
) -> tuple[str, Any, str]:
    """The line that names the classes; `by_position`: those of the entries of vectors, which have none."""
    classes, counts = found.corpus.classes, found.counts
    names = wishes.class_names or classes.names
    is_order = {*names} == {*classes.values}  # the same names, perhaps in another order than that of the counts
    known = dict(zip(classes.values if is_order else names, counts, strict=True))
    shares = [f"{name} {known[name]:,}" for name in names]
    shown = ", ".join(shares[:12]) + (f" and {len(shares) - 12} more" if len(shares) > 12 else "")
    decisions.append(("classes", f"{len(names)}: {shown}"))
    if by_position:
        how = f"by {wishes.class_names_from}" if wishes.class_names else "by position: give them their own names here"
        decisions.append(("class names", how))
        return ("labels", list(names), f"{how}; {shown}")
    if len(names) > _NAMED and wishes.class_names is None:
        return ("labels", None, f"{len(names)} classes: those found, numbers by size, others by name")
    # Numbers as numbers, but "007" and other digits than ours as they are.
    values: list[Any] = [int(v) if v.isdecimal() and str(int(v)) == v else v for v in classes.values]
    if wishes.class_names is not None:
        how = "in the order of" if is_order else "from"
        decisions.append(("class names", f"{how} {wishes.class_names_from}"))
        if is_order:
            return ("labels", list(names), f"in the order of {wishes.class_names_from}; {shown}")
        return ("labels", dict(zip(values, names, strict=True)), f"named by {wishes.class_names_from}; {shown}")
    if all(isinstance(value, int) for value in values):
        # Numbers get names here, so that there is a place to change them.
        return ("labels", dict(zip(values, names, strict=True)), f"value: what the model calls it; {shown}")
    return ("labels", values, shown)


@dataclass(frozen=True)
class _Split:
    fraction: float
    rows: int  # that it splits off: fewer than the fraction's where a text has many copies
    train: Examples  # the rest


def _split_off(found: Survey) -> _Split:
    """How much to split off: enough for a score of ± 2 points, and a text of each class.

    All else is learned from: with 9,000 instead of 8,000 of 10,000 news titles 0.8729 ± 0.0012 of other ones are
    right, not 0.8696 ± 0.0033; 1,000 validation rows tell an accuracy of 0.9 to ± 1.9 points, 2,000 to ± 1.3.
    """
    corpus = found.corpus
    count = len(corpus.train)
    fraction = 0.2 if count < 10_000 else 0.1 if count < 100_000 else 0.05
    strata = corpus.reader.strata(corpus.train.labels)
    _, pool = distinct_texts(corpus.train, strata)
    while not can_split(strata, pool, fraction):
        fraction = round(fraction + 0.1, 2)
        if fraction > 0.5:
            raise UserError(
                f"there are too few different texts ({len(pool):,} in classes of two or more) to split some off for "
                "each class; give a validation file"
            )
    train, validation = split_examples(corpus.train, len(corpus.classes), corpus.reader, fraction, _SEED)
    return _Split(fraction, len(validation), train)


def _refit(split: _Split | None, examples: int, is_quick: bool, decisions: list[tuple[str, str]]) -> str:
    """The line that has the rows learned, too, which are split off here, where they are many.

    Of 10,000 news titles, learned with the tenth that had been validated on, 0.8782 of other ones are right and not
    0.8729 (five seeds). The head alone (`--quick`) gains little, and is to be quick.
    """
    if split is None or split.fraction < _MANY or is_quick:
        return ""
    why = f"in the end once more, with the validation rows: all {examples:,} examples; twice the time"
    decisions.append(("refit", f"true: {why}"))
    return "\n" + f"refit: true  # {why}\n"


def _drawn(split: _Split, corpus: Corpus) -> str:
    return f"{split.rows:,} of {len(corpus.train):,} examples, by {corpus.reader.split_by}"


def _model_name(wishes: Wishes) -> str:
    """The model as the recipe names it: a folder by a path that is no hub id."""
    assert wishes.model is not None
    if not Path(wishes.model).is_dir():
        return wishes.model
    name = _relative(Path(wishes.model), wishes.recipe.parent)
    return name if name.startswith((".", "/")) else f"./{name}"


def _loss(found: Survey, labelling: Labelling, decisions: list[tuple[str, str]]) -> Lines:
    """What lets rare classes be predicted where macro F1 counts them like the others."""
    if labelling.task != "single_label" or not is_uneven(found.counts):
        return []
    why = "large classes are favoured that much less than their shares of the examples have it"
    decisions.append(("uneven", f"logit_adjustment {ADJUSTMENT}: {why}"))
    return [("logit_adjustment", ADJUSTMENT, why)]


def _evaluate(found: Survey, labelling: Labelling, decisions: list[tuple[str, str]]) -> Lines:
    if labelling.task == "multi_label":
        why = "over all decisions; accuracy is the share of texts of which all classes are right"
        decisions.append(("best", f"by f1_micro: {why}"))
        return [("metrics", ["f1_micro", "f1_macro", "accuracy", "hamming_loss"], ""), ("best", "f1_micro", why)]
    if (metrics := DISTANCE_METRICS.get(labelling.task)) is not None:
        decisions.append(("best", f"by {metrics[0]}, the mean absolute error"))
        return [("metrics", [*metrics], ""), ("best", metrics[0], "the mean absolute error")]
    if not is_uneven(found.counts):
        return [("metrics", ["accuracy", "f1", "precision", "recall"], ""), ("best", "accuracy", "")]
    times = times_larger(found.counts)
    why = f"the largest class has {times:,.0f} times the examples of the smallest: accuracy hides the small ones"
    decisions.append(("best", f"by f1_macro: {why}"))
    return [("metrics", ["accuracy", "f1_macro", "balanced_accuracy"], ""), ("best", "f1_macro", why)]


def _relative(path: Path, home: Path) -> str:
    return min(os.path.relpath(path.absolute(), home.absolute()), str(path.absolute()), key=len)


def _line(key: str, value: Any, why: str) -> str:
    written = f"  {key}: {to_yaml_line(value)}"
    if not why:
        return f"{written}\n"
    comment = f"# {_one_line(why)}"
    return f"{written:<27}  {comment}\n" if len(written) + len(comment) < 117 else f"  {comment}\n{written}\n"


def _one_line(text: str) -> str:
    """A text that may stand in a comment: what data holds may not print."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())
