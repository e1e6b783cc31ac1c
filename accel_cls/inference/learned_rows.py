"""Whether a finished model was trained on texts that another recipe is judged by, as far as its run folder tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accel_cls.data.corpus import Corpus, digest_of
from accel_cls.data.examples import Examples, Part
from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe
from accel_cls.runs.changes import origin_of
from accel_cls.runs.folder import RunFolder, model_folder_of
from accel_cls.runs.refitted import is_refitted
from accel_cls.tasks import task_of


@dataclass(frozen=True)
class Learned:
    """How many texts of each judged part a model was trained on."""

    counts: dict[Part, int] | None  # None: nobody knows
    why: str = ""  # nobody knows


def learned_by(model: str, corpus: Corpus) -> Learned:
    """Which judged texts of a corpus were among the training texts of a model.

    A run's data are read again by its own recipe, and are known where they have the digest that the run has recorded.

    Args:
        model: a run folder, or its model's folder.
        corpus: whose validation and test texts are asked about.
    """
    folder = model_folder_of(Path(model))
    run = RunFolder(folder.parent)
    if not (run.is_run and run.recipe.is_file()):
        return Learned(None, "there is no run folder around its model")
    recorded = origin_of(run).get("data")
    if recorded == digest_of(corpus.train, corpus.validation):
        return Learned(_counts(_learned(folder, corpus), corpus))
    try:
        recipe = load_recipe(run.recipe)
        theirs = load_corpus(recipe, task_of(recipe))
    except UserError as error:
        first, *_ = str(error).splitlines()
        return Learned(None, f"its data can't be read again: {first}")
    if theirs.digest != recorded:
        return Learned(None, "its data files have changed since")
    return Learned(_counts(_learned(folder, theirs), corpus))


def _learned(model: Path, corpus: Corpus) -> Examples:
    """What a model of a run has learned of the run's own corpus."""
    run = RunFolder(model.parent)
    return corpus.train_and_validation if is_refitted(run) and model != run.selected else corpus.train


def _counts(train: Examples, corpus: Corpus) -> dict[Part, int]:
    known = {*train.texts.cells()}
    return {part: sum(cells in known for cells in rows.texts.cells()) for part, rows in corpus.judged.items()}
