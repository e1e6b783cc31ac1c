"""All reports on a finished run: at its end, and anew from its folder alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accel_cls.atomic import json_text, write_text
from accel_cls.evaluation.answers import Answers
from accel_cls.recipe import Recipe
from accel_cls.reporting.card import model_card
from accel_cls.reporting.facts import Facts, facts_of, read_facts
from accel_cls.reporting.markdown import report
from accel_cls.runs.folder import RunFolder


def write_reports(folder: RunFolder, recipe: Recipe, validation: Answers, results: dict[str, Any]) -> None:
    """Write report.md, report.html and the model's card.

    Args:
        folder: the run's, with all but results.json.
        recipe: the run's.
        validation: the best model's answers.
        results: what results.json is going to be.
    """
    _write(folder, facts_of(folder, recipe, validation, results))


def write_anew(folder: RunFolder) -> list[Path]:
    """The same for a finished run; returns what was written.

    Raises:
        UserError: where the folder holds no finished run, or not its answers.
    """
    return _write(folder, read_facts(folder))


def _write(folder: RunFolder, facts: Facts) -> list[Path]:
    from accel_cls.reporting.html.page import render_page  # jinja2, which nothing else here needs

    tables = facts.task.report_tables(facts.validation.labels, facts.answered.predicted, facts.names)
    written = {
        folder.page: render_page(facts),
        folder.report: report(facts.recipe, facts.results, tables, facts.origin["starts"], facts.suspects),
    }
    if folder.model.is_dir():  # it may have been moved away from a finished run
        written[folder.card] = model_card(facts)
    for path, text in written.items():
        write_text(path, text)
    return list(written)


def write_together(
    folder: RunFolder,
    results: dict[str, Any],
    render: Callable[[RunFolder, dict[str, Any]], str],
    tell: Callable[[dict[str, Any]], str],
) -> list[Path]:
    """Write report.html and report.md on several trainings; returns what was written.

    Args:
        folder: the one around them.
        results: what its results.json is, or is going to be.
        render: makes the page.
        tell: makes the text.
    """
    results = json.loads(json_text(results))  # as it will be read back
    written = {folder.page: render(folder, results), folder.report: tell(results)}
    for path, text in written.items():
        write_text(path, text)
    return [*written]
