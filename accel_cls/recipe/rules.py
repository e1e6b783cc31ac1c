"""What no single key of a recipe can say: rules that span several keys, and settings that change nothing."""

from __future__ import annotations

import codecs
import difflib
import os
import re
from pathlib import Path

from accel_cls.errors import UserError, listed
from accel_cls.recipe.augment_rules import broken_augmentation
from accel_cls.recipe.decide_rules import broken_decisions, unknown_classes
from accel_cls.recipe.distill_rules import broken_distillation, idle_in_distillation
from accel_cls.recipe.few_shot_rules import broken_few_shot, idle_few_shot
from accel_cls.recipe.head_rules import broken_heads
from accel_cls.recipe.loss_rules import broken_losses, idle_losses
from accel_cls.recipe.metrics import METRICS_OF, is_own
from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.search_rules import broken_search
from accel_cls.recipe.sections.data import Hub
from accel_cls.recipe.sections.model import Scratch
from accel_cls.recipe.text_rules import broken_lengths, idle_lengths
from accel_cls.recipe.training_rules import broken_training, idle_in_training


def canonical_label(value: object) -> str:
    """A label as the text that it is compared by: 1, "1", " 1 ", 1.0 are the same label; so are True and "true"."""
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    whole = re.fullmatch(r"\+?(-?(?:0|[1-9][0-9]*))(?:\.0*)?", text)
    return whole[1] if whole else text


_Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do


def broken_rules(recipe: Recipe) -> _Broken:
    """The rules that span several keys: (key to blame, what is wrong and what to do) for each broken one."""
    broken: _Broken = []
    scratch = recipe.model.scratch
    if recipe.model.name is None and scratch is not None:
        broken += _broken_scratch(scratch)
    quote = "'" if recipe.data.quote == "single" else '"'
    if recipe.data.separator in (quote, "\n", "\r"):
        message = "expected a character that neither quotes a cell nor ends a line"
        broken.append((("data", "separator"), f"found {recipe.data.separator!r}; {message}"))
    encoding = recipe.data.encoding
    if encoding is not None and not is_encoding(encoding):
        message = f"found {encoding!r}; expected an encoding that Python knows, such as cp1252"
        broken.append((("data", "encoding"), message))
    test, validation = recipe.data.test, recipe.data.validation
    if isinstance(test, float) and isinstance(validation, float) and test + validation >= 1:
        message = f"found {test} beside data.validation {validation}; expected less than 1 together"
        broken.append((("data", "test"), message))
    if recipe.train.learning_rate == "auto" and recipe.train.max_updates is not None:
        message = (
            f"found {recipe.train.max_updates} beside train.learning_rate: auto, whose search is made for the whole "
            "schedule; leave it out, or give a rate (accel-cls tune finds one)"
        )
        broken.append((("train", "max_updates"), message))
    broken += [*broken_lengths(recipe), *broken_decisions(recipe), *broken_losses(recipe), *broken_training(recipe)]
    broken += [*broken_heads(recipe), *_broken_repeats(recipe)]
    broken += [*broken_distillation(recipe), *broken_few_shot(recipe)]
    broken += [*broken_augmentation(recipe), *broken_search(recipe, broken_rules, idle_settings)]
    broken += _broken_evaluation(recipe) + _broken_labels(recipe) + _broken_columns(recipe)
    return broken + (_broken_numbers(recipe) if recipe.task == "regression" else [])


def _broken_repeats(recipe: Recipe) -> _Broken:
    broken: _Broken = []
    repeat, fold = recipe.repeat, recipe.data.fold
    if repeat is not None and (repeat.seeds is None) == (repeat.folds is None):
        found = "neither" if repeat.seeds is None else "both"
        broken.append((("repeat",), f"found {found}; expected one of seeds and folds"))
    if repeat is not None and repeat.seeds is not None and recipe.seed + repeat.seeds > 2**32:
        message = f"found {repeat.seeds} from seed {recipe.seed} on; expected the last one to be 4294967295 at most"
        broken.append((("repeat", "seeds"), message))
    if fold is not None and fold.number > fold.of:
        broken.append(
            (("data", "fold", "number"), f"found {fold.number}; expected {fold.of} at most, as data.fold.of")
        )
    if fold is not None and repeat is not None and repeat.folds is not None:
        broken.append((("data", "fold"), "found it beside repeat.folds, which sets it for each run; leave it out"))
    if fold is not None or (repeat is not None and repeat.folds is not None):
        place = "repeat.folds" if fold is None else "data.fold"
        if not isinstance(recipe.data.validation, float):
            message = (
                f"found a source of its own beside {place}, with which a part of data.train is validated on; make it "
                "data.test, which all models are scored by at the end, or list it in data.train, and leave this out"
            )
            broken.append((("data", "validation"), message))
    return broken


def _broken_scratch(scratch: Scratch) -> _Broken:
    if scratch.architecture == "bert" and scratch.hidden % scratch.heads:
        message = f"found {scratch.heads}; expected a divisor of model.scratch.hidden, which is {scratch.hidden}"
        return [(("model", "scratch", "heads"), message)]
    longest = scratch.longest_ngram
    if scratch.architecture == "ngrams" and (scratch.vocabulary + 1) ** longest >= 2**63:
        most = max(n for n in range(1, longest) if (scratch.vocabulary + 1) ** n < 2**63)
        message = (
            f"found {longest}; expected {most} at most with a vocabulary of {scratch.vocabulary}: an n-gram has a "
            "number of 63 bits"
        )
        return [(("model", "scratch", "longest_ngram"), message)]
    return []


def _broken_evaluation(recipe: Recipe) -> _Broken:
    """Metrics that the task has not, a best score that is not computed, patience that never runs out."""
    broken: _Broken = []
    metrics, best, known = recipe.evaluate.metrics, recipe.evaluate.best, METRICS_OF[recipe.task]
    if best != "loss" and best not in metrics:
        message = f"found {best!r}; expected 'loss' or one of evaluate.metrics, which are {', '.join(metrics)}"
        broken.append((("evaluate", "best"), message))
    patience, epochs = recipe.evaluate.patience, recipe.train.epochs
    if recipe.model.is_fitted:
        patience = None
    if patience is not None and recipe.evaluate.every == "end":
        message = f"found {patience} beside evaluate.every: end, which is one evaluation; leave one of them out"
        broken.append((("evaluate", "patience"), message))
    if patience is not None and recipe.evaluate.every == "epoch" and patience >= epochs:
        message = (
            f"found {patience}; expected less than train.epochs, which is {epochs}: with one evaluation an epoch, and "
            "the first always the best so far, the run would end before it could stop early"
        )
        broken.append((("evaluate", "patience"), message))
    for name in metrics:
        if name not in known and not is_own(name):
            message = f"found {name}, which {recipe.task} has not; with this task expected some of {', '.join(known)}"
            broken.append((("evaluate", "metrics"), message))
    if len(set(metrics)) < len(metrics):
        twice_named = next(name for name in metrics if metrics.count(name) > 1)
        broken.append((("evaluate", "metrics"), f"{twice_named!r} stands twice; expected each once"))
    return broken


def _broken_columns(recipe: Recipe) -> _Broken:
    """The label columns: other ones than the texts', and several only where a text may have several classes."""
    texts = [recipe.data.text] if isinstance(recipe.data.text, str) else recipe.data.text
    labels = [recipe.data.label] if isinstance(recipe.data.label, str) else recipe.data.label
    broken: _Broken = []
    if len(set(texts)) < len(texts):
        broken.append((("data", "text"), "found the same column twice; expected two different ones"))
    if set(texts) & set(labels):
        one = "a column that data.text names too" if len(texts) + len(labels) > 2 else "the column of data.text"
        broken.append((("data", "label"), f"found {one}; expected another one"))
    if len(labels) > 1 and recipe.task != "multi_label":
        message = f"found {len(labels)} columns; expected one, or task: multi_label, where each column is a class"
        broken.append((("data", "label"), message))
    if len(set(labels)) < len(labels):
        broken.append((("data", "label"), "found the same column twice; expected each once"))
    return broken + _broken_slices(recipe.data.slices, {*texts, *labels})


def _broken_slices(slices: list[str], known: set[str]) -> _Broken:
    """Columns to judge by: each once, and none that is text or label."""
    if len(set(slices)) < len(slices):
        return [(("data", "slices"), "found the same column twice; expected each once")]
    if both := [name for name in slices if name in known]:
        message = f"found {both[0]!r}, which data.text or data.label names too; expected another column"
        return [(("data", "slices"), message)]
    return []


def _broken_numbers(recipe: Recipe) -> _Broken:
    """What there is for classes only, where labels are numbers."""
    found = {
        ("data", "labels"): recipe.data.labels is not None,
        ("train", "class_weights"): recipe.train.class_weights is not None,
        ("train", "label_smoothing"): recipe.train.label_smoothing > 0,
    }
    message = "task: regression has no classes: its labels are numbers; leave this out, or take task: ordinal"
    return [(key, message) for key, is_there in found.items() if is_there]


def is_encoding(name: str) -> bool:
    """Whether Python knows a text encoding of this name."""
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except (LookupError, ValueError):  # ValueError: a NUL in it
        return False


def _broken_labels(recipe: Recipe) -> _Broken:
    labels = recipe.data.labels
    if labels is None:
        return []
    broken: _Broken = []
    values = [canonical_label(value) for value in labels]
    same = sorted({value for value in values if values.count(value) > 1})
    if same and isinstance(labels, dict):
        broken.append((("data", "labels"), f"the label {same[0]!r} stands twice; expected each value once"))
    names = [*map(str, labels.values())] if isinstance(labels, dict) else values
    if any(not name.strip() for name in names):
        broken.append((("data", "labels"), "found an empty class name; expected a name for each class"))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        broken.append((("data", "labels"), f"class name {twice[0]!r} stands twice; expected distinct names"))
    weights = recipe.train.class_weights
    if isinstance(weights, dict) and set(map(str, weights)) != set(names):
        broken.append(
            (
                ("train", "class_weights"),
                f"found weights for {', '.join(sorted(map(str, weights)))}; expected one for each class: "
                + ", ".join(names),
            )
        )
    if recipe.decide is not None:
        broken += [(("decide", key), said) for key, said in unknown_classes(recipe.decide, names)]
    return broken


def idle_settings(recipe: Recipe) -> list[tuple[tuple[str, ...], str, str]]:
    """Settings that are right but change nothing: (key, why it changes nothing, what to do) for each."""
    model, data = recipe.model, recipe.data
    idle: list[tuple[tuple[str, ...], str, str]] = []
    if model.name is not None and model.scratch is not None:
        idle.append((("model", "scratch"), "not used, since model.name is set", "remove it, or write ~model.scratch"))
    elif model.scratch is not None and model.dropout is not None and "dropout" in model.scratch.model_fields_set:
        idle.append((("model", "scratch", "dropout"), "not used, since model.dropout is set", "remove one of the two"))
    if model.name is None and model.scratch is not None:
        idle += _idle_in_scratch(model.scratch)
    if "validation" in data.model_fields_set and isinstance(data.validation, float):
        place = "data.fold" if data.fold is not None else "repeat.folds"
        if data.fold is not None or (recipe.repeat is not None and recipe.repeat.folds is not None):
            why = f"not used, since {place} says which rows are validated on"
            idle.append((("data", "validation"), why, "remove it"))
    if data.label_separator != "," and (recipe.task != "multi_label" or isinstance(data.label, list)):
        why = "not used: it is for task: multi_label with one label column"
        idle.append((("data", "label_separator"), why, "remove it"))
    idle += [*idle_lengths(recipe), *idle_in_training(recipe), *idle_losses(recipe), *idle_in_distillation(recipe)]
    return idle + idle_few_shot(recipe) + (_idle_when_frozen(recipe) if model.is_fitted else [])


def _idle_in_scratch(scratch: Scratch) -> list[tuple[tuple[str, ...], str, str]]:
    of_others = {"bert": ("longest_ngram", "ngrams"), "ngrams": ("layers", "heads")}[scratch.architecture]
    why = f"not used: a model of architecture {scratch.architecture} has none"
    keys = [key for key in of_others if key in scratch.model_fields_set]
    return [(("model", "scratch", key), why, "remove it") for key in keys]


def _idle_when_frozen(recipe: Recipe) -> list[tuple[tuple[str, ...], str, str]]:
    why = "not used, since model.freeze trains the head alone, by logistic regression"
    sections = {"train": recipe.train.model_fields_set & _OF_UPDATES, "evaluate": recipe.evaluate.model_fields_set}
    keys: list[tuple[str, ...]] = [("train", key) for key in sorted(sections["train"])]
    keys += [("evaluate", key) for key in ("every", "patience") if key in sections["evaluate"]]
    keys += [("average",)] if recipe.average is not None else []
    return [(key, why, "remove it") for key in keys]


# What only updates by gradients go by.
_OF_UPDATES = {
    "adam_epsilon",
    "batch_size",
    "epochs",
    "gradient_checkpointing",
    "head_init",
    "head_rate",
    "layer_decay",
    "learning_rate",
    "log_every",
    "max_grad_norm",
    "max_updates",
    "min_micro_batches",
    "non_finite",
    "schedule",
    "trace",
    "warmup",
    "weight_decay",
}


def names_the_hub(recipe: Recipe) -> bool:
    """Whether the recipe names a hub id, which alone allows a network access."""
    return any(is_hub_id(name) for _, name in _hub_ids_or_folders(recipe))


def is_path(written: str, absolute: str) -> bool:
    """Whether what may be a name or a path is a path: it exists, is written like one, or would lie in a folder.

    A hub id org/name has no folder `org` beside it.
    """
    if written.startswith(("./", "../", "/")) or "\\" in written or os.path.isabs(written):
        return True
    return os.path.exists(absolute) or ("/" in written and os.path.isdir(os.path.dirname(absolute)))


def is_hub_id(name: str) -> bool:
    """Whether a name of a loaded recipe is a hub id: no folder, and no path to one that is missing."""
    return not os.path.isabs(name) and not Path(name).exists()


def missing_folders(recipe: Recipe) -> _Broken:
    """Folders of models and hub data sets that are not there; what is written as a path is looked up nowhere else."""
    missing = [(key, said) for key, name in _hub_ids_or_folders(recipe) if (said := missing_folder(name)) is not None]
    if recipe.distill is not None and not Path(recipe.distill.teacher).exists():
        path = Path(recipe.distill.teacher)
        said = f"there is no folder {_short(path)!r}; train the teacher first, or name a run that is there"
        missing.append((("distill", "teacher"), said + _hint_for_folder(path)))
    return missing


def missing_folder(name: str) -> str | None:
    """What is said of a model's or data set's absolute path where nothing is there; None for all else."""
    if not os.path.isabs(name) or Path(name).exists():
        return None
    hint = _hint_for_folder(Path(name))
    return f"there is no folder {_short(Path(name))!r}, and a path is not looked up on the hub{hint}"


def _short(path: Path) -> str:
    """A path as it is shortest from here."""
    return min(os.path.relpath(path), str(path), key=len)


def _hub_ids_or_folders(recipe: Recipe) -> list[tuple[tuple[str, ...], str]]:
    """What names a hub id or a folder, with its key."""
    data = recipe.data
    sources = {"train": data.train, "validation": data.validation, "test": data.test}
    named: list[tuple[tuple[str, ...], str]] = [
        (("data", key, "hub"), source.hub) for key, source in sources.items() if isinstance(source, Hub)
    ]
    return named if recipe.model.name is None else [*named, (("model", "name"), recipe.model.name)]


def _hint_for_folder(path: Path) -> str:
    """What is called nearly so, or what is in the folder where it would lie."""
    if "\\" in str(path) and os.sep == "/":
        return "; write paths with /"
    there = sorted(one.name for one in path.parent.iterdir() if one.is_dir()) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; in {os.path.relpath(path.parent)} are the folders {listed(there, 5)}" if there else ""


def require_one_training(recipe: Recipe, who: str) -> None:
    """Raise UserError where a recipe is trained several times, for what looks at one training."""
    found = None
    if recipe.repeat is not None:
        found = ("repeat.seeds", recipe.repeat.seeds) if recipe.repeat.seeds else ("repeat.folds", recipe.repeat.folds)
    elif recipe.search is not None:
        found = ("search.trials", recipe.search.trials)
    if found is not None:
        key, count = found
        section = key.partition(".")[0]
        raise UserError(
            f"{key}: found {count}, so many trainings; {who} looks at one. Leave it out, as ~{section} does"
        )


def require_updates(recipe: Recipe) -> None:
    """Raise UserError where a recipe trains by no updates: for what measures or compares these."""
    if recipe.model.is_fitted:
        raise UserError(
            "model.freeze: found 'encoder', with which there are no updates to look at: the head is fitted in one go. "
            "Leave it out, as ~model.freeze does"
        )
