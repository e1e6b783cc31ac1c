"""A trained classifier from a run or a model folder, looked at before it is asked anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from accel_cls.data.separated import FileFormat
from accel_cls.devices.usual import usual_device
from accel_cls.errors import UserError, listed
from accel_cls.evaluation.deciding.postprocessing import Postprocessing
from accel_cls.inference.classifier import Classifier
from accel_cls.inference.precision import check_precision
from accel_cls.models.capabilities import ask_model
from accel_cls.models.classifier import LOADING, check_embeddings, check_weights
from accel_cls.models.configuration import saved_configuration
from accel_cls.models.packing import make_packable
from accel_cls.models.windows import make_windowed
from accel_cls.recipe import Recipe, load_recipe
from accel_cls.runs.folder import RunFolder, model_folder_of
from accel_cls.runs.postprocessing import LONG_TEXTS, OURS, POSTPROCESSING
from accel_cls.runs.results import one_run_expected
from accel_cls.tasks import Task, task_of_model
from accel_cls.tokenization.cutting import Cutting, of_tokenizer
from accel_cls.tokenization.pretrained import load_error
from accel_cls.tokenization.tokenizer import check_tokenizer, drop_unknown_token_types, settle_special_tokens


def load_classifier(folder: str | Path, precision: str = "fp32") -> Classifier:
    """The classifier of a run folder, or of a model folder such as a run's `model/`.

    Args:
        folder: where it is.
        precision: what it computes in: fp32, bf16 or fp16.

    Raises:
        UserError: where there is no model, or one that answers with anything but what a task has; for a precision
            that there is not on this device.
    """
    path, place = _model_folder(folder), str(folder)
    device = usual_device()
    computes_in = check_precision(precision, device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:  # OSError, ValueError, ImportError ...: whatever the folder lacks
        raise load_error(str(path), "tokenizer", error, place) from error
    check_tokenizer(tokenizer, str(path), place)
    model = _load_model(path, place)
    task = _task(model.config, place)
    post = _postprocessing(model, _names(model.config, place), place)
    settle_special_tokens(tokenizer, str(path), place=place)
    check_embeddings(model, tokenizer, str(path), place)
    drop_unknown_token_types(tokenizer, model.config)
    cutting = _cutting(model, tokenizer, place)
    # A model of another origin may have a tokenizer that knows no limit; its positions are one.
    able = ask_model(model, tokenizer, str(path), [], place)
    tokenizer.model_max_length = able.longest
    cutting = replace(cutting, max_length=able.longest)
    first_position = make_packable(model) if able.packed else None
    run = RunFolder(path.parent)
    recipe = load_recipe(run.recipe) if run.is_run and run.recipe.is_file() else None
    files = FileFormat() if recipe is None else FileFormat.of(recipe.data)
    columns = _text_columns(recipe, model)
    model = model.eval().to(device)
    facts = (model, tokenizer, task, device, first_position, columns, able.padding, cutting, files, recipe, post)
    return Classifier(*facts, computes_in)


def _model_folder(folder: str | Path) -> Path:
    """Where a folder has its model. Raises UserError where it has none."""
    path = model_folder_of(folder)
    if (path / "config.json").is_file():
        return path
    if RunFolder(folder).repetitions:
        raise UserError(one_run_expected(RunFolder(folder)))
    what = "a run that has no model yet" if RunFolder(folder).is_run else "no run and no model"
    raise UserError(f"{folder}: found {what}; expected a run folder such as runs/food, or its model folder")


def _load_model(path: Path, folder: str) -> PreTrainedModel:
    """The trained model. Raises UserError where it can't be read, or is none that was trained."""
    config = saved_configuration(str(path), [], folder)
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(path, config=config, **LOADING)
    except Exception as error:  # whatever the folder lacks
        raise load_error(str(path), "model", error, folder) from error
    check_weights(model, loading, str(path), folder)
    if loading["missing_keys"]:
        missing = listed(sorted(loading["missing_keys"]), 5)
        raise UserError(f"{folder}: no trained classifier, its weights lack {missing}; train it first")
    return model


def _task(config: PreTrainedConfig, folder: str) -> Task:
    """What the model was trained for. Raises UserError where its config.json names no task that is known here."""
    task = task_of_model(config.problem_type, config.num_labels)
    if task is not None:
        return task
    if config.problem_type is None:
        score = listed([*config.id2label.values()])
        raise UserError(
            f"{folder}: the model has one output, {score!r}, which is a score and no choice among classes; expected "
            "two classes or more. A training from this folder, as its model.name, makes a classifier of it"
        )
    raise UserError(
        f"{folder}: its config.json has the problem_type {config.problem_type!r} and {config.num_labels} outputs; "
        "expected classes, or regression with one output"
    )


def _names(config: PreTrainedConfig, folder: str) -> list[str]:
    """The classes in the order of their ids.

    Raises:
        UserError: where ids are left out, or two classes have one name: an answer would not tell which.
    """
    ids = sorted(config.id2label)
    if ids != list(range(config.num_labels)):
        raise UserError(f"{folder}: its config.json names the classes {listed([*map(str, ids)])}; expected 0, 1, 2 …")
    names = [config.id2label[i] for i in ids]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        same = " and ".join(str(i) for i, other in enumerate(names) if other == name)
        raise UserError(
            f"{folder}: its config.json calls the classes {same} {name!r}; give each a name of its own there, in "
            "id2label and label2id"
        )
    return names


def _told(model: PreTrainedModel) -> dict[str, Any]:
    """What a model's config.json tells accel_cls; empty for a model of another origin."""
    told = getattr(model.config, OURS, None)
    return told if isinstance(told, dict) else {}


def _postprocessing(model: PreTrainedModel, names: Sequence[str], folder: str) -> Postprocessing:
    """A model's temperature and rules. Raises UserError where its config.json has some that are none."""
    made = _told(model).get(POSTPROCESSING, {})
    try:
        return Postprocessing.from_json(made if isinstance(made, dict) else {"thresholds": made}, names)
    except ValueError as error:
        raise UserError(
            f"{folder}: in its config.json, {OURS}.{POSTPROCESSING} is not as a run writes it: {error}; remove it "
            "there, and the model answers as it is"
        ) from error


def _cutting(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str) -> Cutting:
    """How long texts are cut; lets the model take windows, where they are.

    Raises:
        UserError: where the model's config.json says what nobody can do.
    """
    told = _told(model).get(LONG_TEXTS)
    if told is None:
        return of_tokenizer(tokenizer, tokenizer.model_max_length)
    try:
        cutting = Cutting.from_json(told, tokenizer.model_max_length)
        if cutting.windows is not None:
            attends = getattr(model.config, "window_pooling", None) is not None
            if attends != (cutting.windows.pooling == "attention"):
                raise ValueError(f"the model's head has no {cutting.windows.pooling} over windows")
            make_windowed(model, cutting.windows.pooling)
    except ValueError as error:
        raise UserError(
            f"{folder}: in its config.json, {OURS}.{LONG_TEXTS} is not as a run writes it: {error}; mend it there, or "
            "remove it, and long texts are cut as the tokenizer cuts them"
        ) from error
    return cutting


def _text_columns(recipe: Recipe | None, model: PreTrainedModel) -> tuple[str, ...]:
    """What a model was trained on; nothing where neither its run's recipe nor its config.json tells."""
    if recipe is not None:
        return (recipe.data.text,) if isinstance(recipe.data.text, str) else tuple(recipe.data.text)
    columns = _told(model).get("text")
    is_right = isinstance(columns, list) and 1 <= len(columns) <= 2 and all(isinstance(c, str) for c in columns)
    return tuple(columns) if is_right and columns is not None else ()
