"""What a finished run comes to: its answers judged, results.json, and the report for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from accel_cls.atomic import write_json
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.data.corpus import Corpus, with_validation_learned
from accel_cls.data.examples import Part
from accel_cls.errors import UserError
from accel_cls.evaluation.answers import Answers
from accel_cls.evaluation.baselines import Baseline, baselines
from accel_cls.evaluation.judged import Judged
from accel_cls.recipe import Recipe
from accel_cls.reporting.augmentation import augmentation_results
from accel_cls.reporting.decisions import put_in_place, settle
from accel_cls.reporting.looks import count_looks
from accel_cls.reporting.mistakes import write_neighbours
from accel_cls.reporting.pretraining import pretraining_results
from accel_cls.reporting.refit import is_refitted
from accel_cls.reporting.slices import slice_results
from accel_cls.reporting.teacher import teacher_results
from accel_cls.reporting.verdict import advice, compare_with_baselines, score_answers, verdict
from accel_cls.reporting.write import write_reports
from accel_cls.runs.folder import RunFolder
from accel_cls.tasks import Task


@dataclass(frozen=True)
class EndedTraining:
    """A training that came to its end."""

    folder: RunFolder
    recipe: Recipe
    plan: Plan
    progress: Progress  # at its end
    task: Task
    corpus: Corpus
    hardware: str  # what it ran on, as people call it
    device_peak_bytes: int | None  # the most memory in use on a GPU, of all processes the largest; None: nobody tells
    validation: Answers  # of the best model
    test: Answers | None  # likewise; None where the recipe has no data.test
    truncated: dict[str, int]  # how many texts for training and for validation were cut to data.max_length
    are_cut: dict[Part, np.ndarray]  # bool [rows] by part: whether the model was given a part of the text only
    behaviour: dict[str, Any] | None  # see `behaviour_results`; None where the recipe does not ask
    refit: dict[str, Any] | None  # see `refit`; likewise


def require_best(progress: Progress, recipe: Recipe) -> tuple[int, ...]:
    """Raise UserError where no evaluation gave a score by which a model could be kept."""
    if progress.best_score is None:
        raise UserError(
            f"no evaluation gave a finite {recipe.evaluate.best}, so that no model was kept. metrics.jsonl has the "
            "scores; try a smaller train.learning_rate, or another evaluate.best (with --fresh)"
        )
    return ()


def finish_run(run: EndedTraining, notes: list[str]) -> dict[str, Any]:
    """Write the reports and then results.json, whose presence says that the run is finished; returns the latter.

    Args:
        run: that is finished.
        notes: takes what the user should know besides.
    """
    results = _course_of(run) | {
        "hardware": run.hardware,
        "device_peak_bytes": run.device_peak_bytes,
        "rows": _rows(run.corpus),
        "texts": _texts(run),
        "refit": run.refit,
    }
    simple = baselines(run.corpus, run.task, notes)
    results = _judged(run, "validation", run.validation, simple) | results  # the scores are those that were logged
    results["test"] = None if run.test is None else _tested(run, run.test, results, simple, notes)
    results["slices"] = _slices(run)
    results["behaviour"] = run.behaviour
    if (teacher := teacher_results(run.recipe, run.corpus)) is not None:
        results["teacher"] = teacher
    if (pretraining := pretraining_results(run.recipe, run.corpus)) is not None:
        results["pretraining"] = pretraining
    if (augmentation := augmentation_results(run.recipe, run.corpus)) is not None:
        results["augmentation"] = augmentation
    names = run.corpus.classes.names
    settled = settle(run.recipe, run.task, names, run.validation, run.test)
    put_in_place(settled, run.folder, run.task, names, run.validation, run.test)
    results |= {"calibration": settled.calibration, "decisions": settled.decisions}
    results["advice"] = advice(run.recipe, results)
    write_neighbours(run.folder, run.corpus.train, run.validation, run.task, names, settled.post.temperature)
    write_reports(run.folder, run.recipe, run.validation, results)
    write_json(run.folder.results, results)
    return results


def _course_of(run: EndedTraining) -> dict[str, Any]:
    """How the training went, and its best scores."""
    progress, evaluations = run.progress, run.folder.evaluations()
    best = next(record for record in evaluations if record["update"] == progress.best_update)
    mean = run.folder.kept_average()
    return {
        "name": run.recipe.name,
        "task": run.task.name,
        "decided_by": run.recipe.evaluate.best,
        "scores": best["evaluation"] if mean is None else mean["scores"],
        "averaged": 1 if mean is None else mean["averaged"],  # so many evaluations' weights are the model's mean
        "start_share": run.folder.start_share(),  # of those before the first update
        "update": (mean or best)["update"],
        "epoch": (mean or best)["epoch"],
        "updates": progress.update,
        "stopped_early": progress.update < run.plan.updates,
        "skipped": progress.skipped,
        "scaler_skips": progress.scaler_skips,
        "checkpoints": progress.saves,
        "save_seconds": round(progress.save_seconds, 2),
        "stall_seconds": round(progress.stall_seconds, 2),
        "seconds": round(progress.seconds, 1),
        "evaluations": evaluations,
    }


def _rows(corpus: Corpus) -> dict[str, Any]:
    """How many rows were trained on and scored, and which were left out."""
    dropped = [{"from": one.key, "rows": len(one.rows), "reason": one.reason} for one in corpus.invalid]
    scored: dict[str, int] = {part: len(examples) for part, examples in corpus.judged.items()}
    return {"training": len(corpus.train), **scored, "dropped": dropped}


def _slices(run: EndedTraining) -> dict[Part, dict[str, Any]]:
    """Where the best model is worse than elsewhere, by part."""
    answers: dict[Part, Answers | None] = {"validation": run.validation, "test": run.test}
    names = run.corpus.classes.names
    return {
        part: slice_results(one, run.task, names, run.are_cut[part])
        for part, one in answers.items()
        if one is not None
    }


def _texts(run: EndedTraining) -> dict[str, Any]:
    """What the texts were: how many of which class, how long, how many were cut, how much was padded."""
    corpus, lengths = run.corpus, run.plan.lengths
    parts = [("training", corpus.train), *corpus.judged.items()]
    return {
        "classes": {part: corpus.class_counts(examples).tolist() for part, examples in parts},
        "tokens": {"mean": round(float(lengths.mean()), 1), "95%": int(np.percentile(lengths, 95))},
        "truncated": run.truncated,
        "padding": round(run.plan.micro_batch_stats(1).padding, 4),
    }


def _judged(run: EndedTraining, part: Part, answers: Answers, simple: Sequence[Baseline]) -> dict[str, Any]:
    """What the best model is worth on the rows of a part: scores, their intervals, and something simple beside it."""
    task, metrics = run.task, run.recipe.evaluate.metrics
    judged = Judged.of(task, answers.labels, answers.logits)
    compared = compare_with_baselines(simple, part, judged, answers.groups, task, metrics)
    return {
        **score_answers(judged, answers.groups, metrics),
        **task.class_results(answers.labels, judged.predicted, run.corpus.classes.names),
        "baselines": compared,
        "verdict": verdict(compared, run.recipe.evaluate.best, len(answers)),
    }


def _tested(
    run: EndedTraining, test: Answers, results: dict[str, Any], simple: Sequence[Baseline], notes: list[str]
) -> dict[str, Any]:
    """The same on rows that nothing was chosen by, and how many runs have looked at them.

    What stands beside a model that was refitted has learned as many examples as it has.
    """
    digest = run.corpus.test_digest
    assert digest is not None
    if is_refitted(results):
        whole = replace(with_validation_learned(run.corpus, run.recipe), test=run.corpus.test)
        simple = baselines(whole, run.task, notes)
    return _judged(run, "test", test, simple) | {"looks": count_looks(digest, run.folder, notes)}
