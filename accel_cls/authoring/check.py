"""Everything that can be known of a recipe before training: its data's audit, what is cut off, the plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from accel_cls.authoring.audit import audit, margin_of
from accel_cls.authoring.findings import Case, Finding
from accel_cls.authoring.forecast import Forecast, forecast
from accel_cls.authoring.labelling import labelling_findings
from accel_cls.authoring.truncation import (
    WHOLE,
    Choice,
    Kept,
    kept_by_choice,
    kept_by_length,
    truncation_findings,
    unknown_findings,
)
from accel_cls.batching.pairs import pairs_of
from accel_cls.console import Console
from accel_cls.data.byte_order_marks import MarksLeftOut
from accel_cls.data.corpus import Corpus
from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.evaluation.deciding.rules import require_decidable
from accel_cls.models.classifier import outline_model
from accel_cls.recipe import Recipe
from accel_cls.recipe.repeats import first_run_of, repetitions_of
from accel_cls.recipe.rules import idle_settings
from accel_cls.recipe.sections.data import Data
from accel_cls.reporting.augmentation import augmentation_results
from accel_cls.reporting.augmentation import in_words as describe_changes
from accel_cls.reporting.pretraining import pretraining_results, read_beforehand
from accel_cls.reporting.teacher import flattered_by, teacher_results
from accel_cls.reporting.verdict import score_baselines
from accel_cls.tasks import task_of
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import encode_cached
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.training.teacher import load_teacher


@dataclass(frozen=True)
class Report:
    """What `check` found."""

    recipe: Recipe
    corpus: Corpus
    findings: tuple[Finding, ...]
    errors: tuple[str, ...]  # mistakes that keep the recipe from running, besides findings that are errors
    kept: tuple[Kept, ...]  # by max_length; empty where there is no tokenizer
    choices: tuple[Choice, ...]  # ways to read long texts; empty where none is too long
    forecast: Forecast | None
    baselines: tuple[dict[str, Any], ...]  # with their scores, see `score_baselines`

    @property
    def exit_status(self) -> int:
        """0 nothing found, 1 findings, 2 training would refuse."""
        if self.errors or any(finding.is_error for finding in self.findings):
            return 2
        return 1 if self.findings else 0


def check_recipe(recipe: Recipe, processes: int | None = None) -> Report:
    """Check a recipe that has been read without a mistake.

    Raises:
        UserError: where the data can't be read at all.
    """
    # Rows that training would refuse are set aside here, so that everything else is looked at, too.
    task, one = task_of(recipe), first_run_of(recipe)
    lenient = one.model_copy(update={"data": one.data.model_copy(update={"invalid": "drop"})})
    corpus = load_corpus(lenient, task)
    findings = [Finding("idle-setting", f"{'.'.join(key)}: {why}", do) for key, why, do in idle_settings(recipe)]
    findings += audit(corpus, _as_split(one.data), one)
    findings += labelling_findings(recipe, corpus)
    findings += [Finding("teacher", what, do) for what, do in flattered_by(teacher_results(recipe, corpus))]
    findings += [Finding("pretraining", what, do) for what, do in read_beforehand(pretraining_results(recipe, corpus))]
    errors: list[str] = []
    notes: list[str] = []
    kept: list[Kept] = []
    choices: list[Choice] = []
    ahead: Forecast | None = None
    for require in (
        lambda: task.loss(recipe.train, corpus.train.labels, corpus.classes, torch.device("cpu")),
        lambda: require_decidable(recipe.decide, corpus),
        lambda: recipe.distill and load_teacher(recipe.distill, corpus, task),
    ):
        try:
            require()
        except UserError as error:
            errors.append(str(error))
    try:
        tokenizer = load_tokenizer(recipe, corpus.train)
        train, validation = (
            encode_cached(tokenizer, part.texts, WHOLE, notes) for part in (corpus.train, corpus.validation)
        )
        lengths = np.concatenate([train.lengths, validation.lengths])
        labels = np.concatenate([corpus.train.labels, corpus.validation.labels])
        kept = kept_by_length(lengths, labels, corpus.classes, task, recipe.data.max_length)
        choices = kept_by_choice(train, recipe.data)
        findings += truncation_findings(kept, choices, recipe.data, corpus.classes.names)
        findings += unknown_findings(train, tokenizer.unk_token_id)
        special = tokenizer.num_special_tokens_to_add(pair=not isinstance(recipe.data.text, str))
        sizes = Cutting.of(recipe.data).sizes(train.lengths, special)
        lengths, windows = _learned_sizes(recipe, corpus, sizes, tokenizer, notes)
        outline = outline_model(recipe, tokenizer, corpus.classes, task.problem_type, train)
        classes = task.strata(corpus.labelled.labels)
        told = corpus.digest, _runs(recipe), windows, classes, _pairs(one, corpus)
        ahead = forecast(one, lengths, outline, processes, *told)
    except UserError as error:
        errors.append(str(error))
    simple = []
    try:
        simple = score_baselines(corpus, task, recipe.evaluate.metrics, notes)
    except UserError as error:  # a function of the user's
        errors.append(str(error))
    corpus = replace(corpus, notes=(*corpus.notes, *notes))
    return Report(recipe, corpus, tuple(findings), tuple(errors), tuple(kept), tuple(choices), ahead, tuple(simple))


def _learned_sizes(
    recipe: Recipe,
    corpus: Corpus,
    sizes: tuple[np.ndarray, np.ndarray | None],
    tokenizer: PreTrainedTokenizerBase,
    notes: list[str],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Tokens and windows of each text that updates are made of; `sizes` are those of the training examples."""
    lengths, windows = sizes
    for part in (corpus.changed, corpus.unlabelled):
        if part is not None:
            more = encode_cached(tokenizer, part.texts, Cutting.of(recipe.data), notes)
            lengths = np.concatenate([lengths, more.lengths])
            windows = None if windows is None or more.windows is None else np.concatenate([windows, more.windows])
    return lengths, windows


def plan_recipe(recipe: Recipe, processes: int | None = None) -> tuple[Corpus, Forecast]:
    """Only the plan of a recipe, with the corpus that it is for: of several runs those of the first.

    Raises:
        UserError: where training would refuse.
    """
    task, runs = task_of(recipe), _runs(recipe)
    recipe = first_run_of(recipe)
    corpus = load_corpus(recipe, task)
    tokenizer = load_tokenizer(recipe, corpus.train)
    notes: list[str] = []
    train = encode_cached(tokenizer, corpus.train.texts, Cutting.of(recipe.data), notes)
    outline = outline_model(recipe, tokenizer, corpus.classes, task.problem_type, train)
    sizes = _learned_sizes(recipe, corpus, (train.lengths, train.windows), tokenizer, notes)
    classes = task.strata(corpus.labelled.labels)
    told = corpus.digest, runs, sizes[1], classes, _pairs(recipe, corpus)
    ahead = forecast(recipe, sizes[0], outline, processes, *told)
    return replace(corpus, notes=(*corpus.notes, *notes)), ahead


def _pairs(recipe: Recipe, corpus: Corpus) -> np.ndarray | None:
    pairs = pairs_of(recipe, corpus.train.labels)
    return None if pairs is None else pairs.texts


def _runs(recipe: Recipe) -> int:
    return recipe.search.trials if recipe.search is not None else len(repetitions_of(recipe)) or 1


def _as_split(data: Data) -> Data:
    """A section that says of a fold what part of the training examples it is."""
    return data if data.fold is None else data.model_copy(update={"validation": 1 / data.fold.of})


def show_report(report: Report, console: Console, rows: int) -> None:
    """Print a report for people, with so many rows of each finding."""
    corpus, data = report.corpus, first_run_of(report.recipe).data
    lines = corpus.describe(data)
    if corpus.reader.has_classes:
        margin = f"an accuracy of 0.90 on {len(corpus.validation):,} examples is known to ± "
        lines.append(("score", f"{margin}{margin_of(len(corpus.validation)):.3f}"))
    if (augmentation := augmentation_results(report.recipe, corpus)) is not None:
        lines.append(("augment", describe_changes(augmentation)))
        lines += [("", f"{text} → {copy}") for text, copy in augmentation["examples"]]
    console.section("data", lines)
    for note in corpus.notes:
        is_finding = isinstance(note, MarksLeftOut) or note.startswith(tuple(fault.key for fault in corpus.invalid))
        if not is_finding:
            console.note(note)
    _show_lengths(report, data, console)
    console.section("to beat, on these validation rows", [])
    metrics = report.recipe.evaluate.metrics
    console.table(
        ["", *metrics, "made by"],
        [[one["name"], *(f"{one['scores'][m]:.4f}" for m in metrics), one["about"]] for one in report.baselines],
    )
    if report.forecast is not None:
        console.section("plan", report.forecast.lines(report.recipe))
    errors = [finding for finding in report.findings if finding.is_error]
    others = [finding for finding in report.findings if not finding.is_error]
    for title, findings in (("errors", errors), ("findings", others)):
        if findings or (title == "errors" and report.errors):
            console.section(title, [])
        for finding in findings:
            cases = [_shown(case) for case in finding.cases[:rows]]
            if len(finding.cases) > rows:
                cases.append(f"and {len(finding.cases) - rows:,} more: --rows N shows N, --json all")
            console.finding(finding.kind, finding.what, cases, finding.advice)
        if title == "errors":
            for error in report.errors:
                console.finding("error", error, [], "")
    console.print(_verdict(report))


def _show_lengths(report: Report, data: Data, console: Console) -> None:
    """What usual lengths keep of the texts; and of those that are too long, what each way to read them keeps."""
    names = report.corpus.classes.names
    rows = []
    for k in report.kept:
        at = max(range(len(names)), key=lambda i: k.by_class[i])
        mark = " ←" if k.max_length == data.max_length else ""
        most = f"{names[at]} {k.by_class[at]:.1%}" if k.cut else ""
        rows.append([f"{k.max_length}{mark}", f"{k.cut:.1%}", f"{k.tokens:.1%}", most])
    if rows:
        console.table(["max_length", "texts cut", "tokens kept", "most of all"], rows)
    if report.choices:
        console.table(
            [f"of texts longer than {data.max_length}", "tokens read", "different tokens read", "passes a text"],
            [
                [
                    f"{_WAYS[c.name]}{' ←' if c.is_chosen else ''}",
                    f"{c.tokens:.1%}",
                    f"{c.different:.1%}",
                    f"{c.passes:.1f}",
                ]
                for c in report.choices
            ],
        )


_WAYS = {way: f"truncate: {way}" for way in ("end", "start", "middle")} | {"windows": "windows"}


def _shown(case: Case) -> str:
    rows = [f"{row} {label}" for row, label in zip(case.rows, case.labels, strict=True)] if case.labels else case.rows
    more = f" and {len(rows) - 6} more" if len(rows) > 6 else ""
    text = case.excerpt or " ".join(case.text.split())
    short = text if case.excerpt or len(text) <= 60 else f"{text[:60]}…"
    quoted = f"  “{short}”" if text else ""
    return ", ".join(rows[:6]) + more + quoted


def _verdict(report: Report) -> str:
    errors = len(report.errors) + sum(finding.is_error for finding in report.findings)
    findings = len(report.findings) - sum(finding.is_error for finding in report.findings)
    counts = ((errors, "error"), (findings, "finding"))
    said = [f"{count} {noun}{'s' if count > 1 else ''}" for count, noun in counts if count]
    return ", ".join(said) or "nothing found"


def report_as_json(report: Report) -> dict[str, Any]:
    """A report for programs: all rows of all findings."""
    corpus = report.corpus
    return {
        "exit_status": report.exit_status,
        "errors": [{"message": error} for error in report.errors],
        "findings": [asdict(finding) | {"count": len(finding.cases) or None} for finding in report.findings],
        "notes": list(corpus.notes),
        "data": {
            "train": len(corpus.train),
            "augmentation": augmentation_results(report.recipe, corpus),
            **{part: len(examples) for part, examples in corpus.judged.items()},
            "classes": {
                part: dict(zip(corpus.classes.names, corpus.class_counts(examples).tolist(), strict=True))
                for part, examples in (("train", corpus.train), *corpus.judged.items())
            },
            "accuracy_margin": margin_of(len(corpus.validation)),
        },
        "baselines": list(report.baselines),
        "max_length": [
            asdict(kept) | {"by_class": dict(zip(corpus.classes.names, kept.by_class, strict=True))}
            for kept in report.kept
        ],
        "long_texts": [asdict(choice) for choice in report.choices],
        "plan": report.forecast.as_json() if report.forecast is not None else None,
    }
