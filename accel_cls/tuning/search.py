"""Find the learning rate of a recipe, by trials before its training: what `auto` and `accel-cls tune` do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accel_cls.batching.plan import count_updates
from accel_cls.batching.schedule import check_warmup
from accel_cls.data.corpus import Corpus
from accel_cls.data.part import part_of
from accel_cls.errors import UserError
from accel_cls.hardware.main_process import decided_by_main, float_bits, float_of_bits
from accel_cls.models.configuration import hidden_size_of
from accel_cls.recipe import Recipe
from accel_cls.recipe.keys import RATE
from accel_cls.recipe.sections.train import DEFAULT_RATE
from accel_cls.runs.folder import RunFolder
from accel_cls.training.fit import Session
from accel_cls.tuning.axes import EPOCHS, Axes, axes_of, candidates_of
from accel_cls.tuning.halving import Halving
from accel_cls.tuning.record import found_for, spec_of
from accel_cls.tuning.report import describe_search, describe_use, describe_whole_training, result_lines, show_trials
from accel_cls.tuning.trials import Trials


def find_rate(session: Session, recipe: Recipe, corpus: Corpus, folder: RunFolder) -> dict[str, float]:
    """The learning rate for a recipe, under its key: what a search has found before, or one finds now.

    Called by all processes; gives all of them the same. Where a frozen encoder needs none, it is the default.

    Raises:
        UserError: where no search can be made, or all candidates diverge.
        Stopped: where it was told to stop; the same command goes on with it.
    """
    if recipe.model.is_fitted:
        return {RATE: DEFAULT_RATE}

    def known() -> Sequence[int]:
        record = found_for(folder, recipe, corpus.digest)
        return [0 if record is None else float_bits(record.values[RATE])]

    rate = float_of_bits(decided_by_main(session.hardware.accelerator, 1, known)[0])
    if rate:
        session.console.note(f"{RATE}: auto → {rate:g}, found before, see {_shown(folder.search)}")
        return {RATE: rate}
    return search(session, recipe, corpus, folder, {})


def search(
    session: Session,
    recipe: Recipe,
    corpus: Corpus,
    folder: RunFolder,
    asked: Axes,
    fresh: bool = False,
    train: Sequence[str] | None = None,
) -> dict[str, float]:
    """Search, or go on with a search, and show its table. Called by all processes.

    Args:
        session: what the trials run on.
        recipe: what is searched for; whatever it has for a rate.
        corpus: the run's. Its validation examples have no part in the search.
        folder: the run's; its lock is taken where it is not yet.
        asked: values to try, in place of those that go with the model.
        fresh: keep a search that is there under another name.
        train: the command that trains the recipe, where nothing but the search was asked for.

    Returns:
        What was chosen, by key, the same on all processes.

    Raises:
        UserError, Stopped: as `find_rate`.
    """
    console = session.console
    hidden = hidden_size_of(recipe.model.name)
    axes = axes_of(asked, hidden)
    candidates, examples = candidates_of(axes), corpus.learned
    halving, part = _design(recipe, axes, corpus)
    trials = Trials(session, recipe, part, folder, halving, candidates, examples)
    trials.open(spec_of(recipe, corpus, axes, session.hardware.precision), fresh)
    console.section("search", describe_search(axes, recipe, halving, examples, hidden))
    choice = candidates[trials.run()]
    if session.hardware.accelerator.is_main_process:
        whole = count_updates(examples, recipe.train.batch_size, int(choice.get(EPOCHS, recipe.train.epochs)))
        show_trials(trials.record, console)
        lines = result_lines(trials.record, axes, _shown(folder.search))
        lines += describe_whole_training(trials.record, whole)
        console.section("found", lines if train is None else [*lines, *describe_use(train, choice)])
    return choice


def _design(recipe: Recipe, axes: Axes, corpus: Corpus) -> tuple[Halving, Corpus]:
    """The search as numbers, and its examples.

    Raises:
        UserError: where there are too few, or the recipe's warm-up is too long for one of the candidates.
    """
    train, examples = recipe.train, len(corpus.train)
    epochs = [int(values.get(EPOCHS, train.epochs)) for values in candidates_of(axes)]
    for one in epochs:
        check_warmup(train.warmup, one, count_updates(corpus.learned, train.batch_size, 1))
    halving = Halving.of(epochs, train.epochs, train.batch_size, examples)
    why = halving.obstacle
    part = part_of(corpus, halving.trained, halving.scored, recipe.seed) if why is None else None
    if part is not None:
        halving = replace(halving, trained=len(part.train), scored=len(part.validation))
        why = halving.obstacle
        if why is None:
            return halving, part
    elif why is None:
        sizes = f"{halving.trained} and {halving.scored}"
        why = f"two parts of {sizes} can't hold each of the {len(corpus.classes)} classes"
    usual = axes[RATE][len(axes[RATE]) // 2]
    raise UserError(
        f"{RATE}: {examples:,} training examples are too few for a search over {len(epochs)} candidates: {why}. Give "
        f"a number, such as {usual:g}"
    )


def _shown(path: Path) -> str:
    return min(os.path.relpath(path), str(path), key=len)
