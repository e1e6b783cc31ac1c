"""What differs between the run in a folder and what a command asks for: what matters, and what does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from accel_cls.batching.plan import updates_of
from accel_cls.data.data_file import DataFile
from accel_cls.data.files import expand
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe, leaves, read_plain, recipe_to_plain
from accel_cls.recipe.keys import RATE, field_of
from accel_cls.runs.folder import RunFolder, content_digest, model_folder_of
from accel_cls.runs.out_of_memory import read_out_of_memory

# Keys that change nothing of what an update does; train.non_finite only decides about one that does nothing. Of the
# hardware, the precision does: it is no key of a recipe, and compared by itself.
_HARMLESS = (
    *("name", "output", "hardware", "checkpoint"),
    *("train.log_every", "train.trace", "train.trackers", "train.non_finite"),
)
# Keys that only decide after which update the run ends.
_END = ("train.max_updates", "evaluate.patience")
# Likewise, where both recipes have them: how many runs with seeds, how many trials of a search.
_COUNTS = ("repeat.seeds", "search.trials")
_EPOCHS = "train.epochs"  # likewise, where no update's learning rate follows from it
# Where the data lie does not matter by itself: the digest of what was read does.
_DATA_FILES = ("data.train", "data.validation", "data.fold", "data.split_seed", "distill.texts", "pretrain.texts")
_TEST = "data.test"  # what is scored at the end: no update follows from it
# How the best model is judged at the end, and what is made of it and its answers: likewise.
_JUDGED = ("data.slices", "evaluate.behaviour", "evaluate.calibrate", "decide", "refit")
_AFTER = (_TEST, *_JUDGED)
TOKENS = "train.micro_batch_tokens"
_PRETRAINING = "pretrain"  # what a pre-training goes by, and no classifier
_KINDS = ("a classifier", "a language model")
# In a model's folder, what is written anew where a run is judged anew: its card; its temperature and rules.
_RETOLD = ("README.md", "config.json")


@dataclass(frozen=True)
class RunSpec:
    """What a command is to train."""

    recipe: Recipe
    data: str  # digest of the training and validation data
    examples: int  # of a pass over the training data: texts, or pairs of them
    hardware: str = ""  # as people call it
    precision: str | None = None  # fp32, fp16, bf16, fp8; None: not known
    test: str | None = None  # digest of the test data; None where there are none
    pretraining: bool = False  # a language model, not a classifier

    @property
    def updates(self) -> int:
        """After how many updates the run ends at the latest."""
        return updates_of(self.recipe, self.examples)


@dataclass(frozen=True)
class Changes:
    """What differs between the run in a folder and what is asked for, a line for each key."""

    training: Sequence[str] = ()  # in what its updates do: such a run does not go on
    end: Sequence[str] = ()  # in where it ends
    judged: Sequence[str] = ()  # in how the best model is judged at the end, and what is made of its answers
    harmless: Sequence[str] = ()

    @property
    def allowed(self) -> list[str]:
        """Those with which a run goes on."""
        return [*self.end, *self.judged, *self.harmless]


def changes_of(folder: RunFolder, spec: RunSpec) -> Changes:
    """What differs between the run in the folder and what is asked for."""
    recipe = spec.recipe
    old, new = dict(leaves(read_plain(folder.recipe))), dict(leaves(recipe_to_plain(recipe)))
    # A run that began before there was a key had what is its default now.
    old = {key: value for key, value in new.items() if value == _default(key)} | old
    differing = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    origin = origin_of(folder)
    if not spec.pretraining:
        differing = [key for key in differing if not _is_under(key, (_PRETRAINING,))]
    note = read_out_of_memory(folder)
    # `auto` is the number with which the run began; after running out of memory, a smaller one is no other run.
    if TOKENS in differing and (new[TOKENS] == "auto" or (note is not None and new[TOKENS] < note.tokens)):
        differing.remove(TOKENS)
    if RATE in differing and new[RATE] == "auto" and found_of(folder).get(RATE) == old[RATE]:
        differing.remove(RATE)
    # With a mean that was made at the end, and perhaps kept, there is one end.
    end = () if recipe.average is not None and recipe.average.is_made_at_the_end else _END
    ends = (*end, _EPOCHS) if end and _has_rate_without_end(old) and _has_rate_without_end(new) else end
    ends = (*ends, *(key for key in _COUNTS if key in old and key in new))

    def lines_of(keys: list[str]) -> list[str]:
        return [f"{key}: {old.get(key, 'not set')} → {new.get(key, 'not set')}" for key in keys]

    training = [key for key in differing if not _is_under(key, (*_HARMLESS, *ends, *_DATA_FILES, *_AFTER))]
    lines = lines_of(training)
    if training == [_EPOCHS]:
        lines[0] += (
            " (with train.schedule: constant, or inverse_sqrt, and train.warmup in updates the run would go on)"
        )
    if origin.get("pretraining", False) != spec.pretraining:
        lines.append(f"what is trained: {' → '.join(_KINDS[:: 1 if spec.pretraining else -1])}")
    if origin.get("data", spec.data) != spec.data:
        lines += lines_of([key for key in differing if _is_under(key, (*_DATA_FILES, _TEST))])
        lines = lines or [": ".join(["the data files' content", *_changed_files(origin, recipe)])]
    if origin.get("teacher") not in (None, teacher_digest(recipe)):
        lines.append(f"distill.teacher: the model in {recipe.distill.teacher if recipe.distill else 'it'}")
    precision = _precision_of(origin)
    if None not in (precision, spec.precision) and precision != spec.precision:
        where = "mixed_precision, of the hardware profile or of accelerate launch's command line"
        lines.append(f"precision: {precision} → {spec.precision} ({where})")
    tests = lines_of([key for key in differing if _is_under(key, (_TEST,))])
    is_same_test = origin.get("test") == spec.test  # wherever the file lies
    judged = lines_of([key for key in differing if _is_under(key, _JUDGED)])
    return Changes(
        lines,
        lines_of([key for key in differing if _is_under(key, ends)]),
        [*judged, *([] if is_same_test else tests or [f"{_TEST}: the files' content"])],
        [*lines_of([key for key in differing if _is_under(key, (*_HARMLESS, *_DATA_FILES))]), *(tests * is_same_test)],
    )


def _has_rate_without_end(values: dict[str, Any]) -> bool:
    """Whether the learning rate of an update is the same, however many epochs a recipe of these values has."""
    return values.get("train.schedule") in ("constant", "inverse_sqrt") and isinstance(values.get("train.warmup"), int)


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """By key, all that the updates of a run follow from besides its data."""
    others = (*_HARMLESS, *_END, *_DATA_FILES, *_AFTER, _PRETRAINING)
    return {key: value for key, value in leaves(recipe_to_plain(recipe)) if not _is_under(key, others)}


def origin_of(folder: RunFolder) -> dict[str, Any]:
    """What is recorded of a run's data and starts; empty where nothing is."""
    return json.loads(folder.origin.read_text(encoding="utf-8")) if folder.origin.is_file() else {}


def found_of(folder: RunFolder) -> dict[str, float]:
    """What a search has found for a run, by key; empty where its recipe had numbers of its own."""
    found: dict[str, float] = origin_of(folder).get("found", {})
    return found


def _precision_of(origin: dict[str, Any]) -> str | None:
    """The precision that a run trains in; None where it began before that was recorded, and where nobody knows."""
    return next((found for one in reversed(origin.get("starts", [])) if (found := one.get("precision"))), None)


def _changed_files(origin: dict[str, Any], recipe: Recipe) -> list[str]:
    """The names of the data files that are not what they were, in one text; none where there are no files."""
    before, now = origin.get("files", {}), digests_of(recipe)
    return [", ".join(changed)] if (changed := [path for path in now if before.get(path) != now[path]]) else []


def digests_of(recipe: Recipe) -> dict[str, str]:
    """SHA-256 of each data file, by its path: whether data differ is asked of what was read, these only tell where.

    Of what is packed it is that of the content: packing it again changes nothing.
    """
    found = {}
    more = [section.texts for section in (recipe.distill, recipe.pretrain) if section is not None]
    for source in (recipe.data.train, recipe.data.validation, recipe.data.test, *more):
        if isinstance(source, str | list):
            with suppress(UserError, OSError):  # it has just been read; who removes it now is told of the content only
                for path in expand(source):
                    with DataFile.at(path).open() as file:
                        found[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def teacher_digest(recipe: Recipe) -> str | None:
    """SHA-256 of the files from which the answers of a recipe's teacher follow; None where there is no such model."""
    folder = None if recipe.distill is None else model_folder_of(recipe.distill.teacher)
    if folder is None or not folder.is_dir():
        return None
    return content_digest(folder, without=_RETOLD).hex()


def _default(key: str) -> Any:
    _, field = field_of(key.split("."))
    return None if field is None else field.default


def _is_under(key: str, sections: tuple[str, ...]) -> bool:
    return any(f"{key}.".startswith(f"{section}.") for section in sections)
