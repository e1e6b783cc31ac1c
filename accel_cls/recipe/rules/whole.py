"""All rules of a recipe together: those that are broken, and settings that change nothing."""

from __future__ import annotations

from accel_cls.recipe.rules.augmentation import broken_augmentation
from accel_cls.recipe.rules.data import broken_data
from accel_cls.recipe.rules.decisions import broken_decisions
from accel_cls.recipe.rules.distillation import broken_distillation, idle_in_distillation
from accel_cls.recipe.rules.evaluation import broken_evaluation, broken_repeats
from accel_cls.recipe.rules.few_shot import broken_few_shot, idle_few_shot
from accel_cls.recipe.rules.graphs import broken_graphs
from accel_cls.recipe.rules.heads import broken_heads
from accel_cls.recipe.rules.losses import broken_losses, idle_losses
from accel_cls.recipe.rules.refits import broken_refit, idle_refit
from accel_cls.recipe.rules.scratch import broken_scratch, idle_in_scratch
from accel_cls.recipe.rules.search import broken_search
from accel_cls.recipe.rules.texts import broken_lengths, idle_lengths
from accel_cls.recipe.rules.training import broken_training, idle_in_training
from accel_cls.recipe.schema import Recipe

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
_Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do


def broken_rules(recipe: Recipe) -> _Broken:
    """The rules that span several keys: (key to blame, what is wrong and what to do) for each broken one."""
    scratch = recipe.model.scratch
    return [
        *(broken_scratch(scratch) if recipe.model.name is None and scratch is not None else []),
        *broken_data(recipe),
        *broken_lengths(recipe),
        *broken_heads(recipe),
        *broken_training(recipe),
        *broken_graphs(recipe),
        *broken_losses(recipe),
        *broken_augmentation(recipe),
        *broken_distillation(recipe),
        *broken_few_shot(recipe),
        *broken_evaluation(recipe),
        *broken_decisions(recipe),
        *broken_repeats(recipe),
        *broken_refit(recipe),
        *broken_search(recipe, broken_rules, idle_settings),
    ]


def idle_settings(recipe: Recipe) -> list[tuple[tuple[str, ...], str, str]]:
    """Settings that are right but change nothing: (key, why it changes nothing, what to do) for each."""
    model, data = recipe.model, recipe.data
    idle: list[tuple[tuple[str, ...], str, str]] = []
    if model.name is not None and model.scratch is not None:
        idle.append((("model", "scratch"), "not used, since model.name is set", "remove it, or write ~model.scratch"))
    elif model.scratch is not None and model.dropout is not None and "dropout" in model.scratch.model_fields_set:
        idle.append((("model", "scratch", "dropout"), "not used, since model.dropout is set", "remove one of the two"))
    if model.name is None and model.scratch is not None:
        idle += idle_in_scratch(model.scratch)
    if "validation" in data.model_fields_set and isinstance(data.validation, float):
        place = "data.fold" if data.fold is not None else "repeat.folds"
        if data.fold is not None or (recipe.repeat is not None and recipe.repeat.folds is not None):
            why = f"not used, since {place} says which rows are validated on"
            idle.append((("data", "validation"), why, "remove it"))
    if data.label_separator != "," and (recipe.task != "multi_label" or isinstance(data.label, list)):
        why = "not used: it is for task: multi_label with one label column"
        idle.append((("data", "label_separator"), why, "remove it"))
    idle += [*idle_lengths(recipe), *idle_in_training(recipe), *idle_losses(recipe), *idle_in_distillation(recipe)]
    idle += idle_refit(recipe)
    return idle + idle_few_shot(recipe) + (_idle_when_frozen(recipe) if model.is_fitted else [])


def _idle_when_frozen(recipe: Recipe) -> list[tuple[tuple[str, ...], str, str]]:
    why = "not used, since model.freeze trains the head alone, by logistic regression"
    sections = {"train": recipe.train.model_fields_set & _OF_UPDATES, "evaluate": recipe.evaluate.model_fields_set}
    keys: list[tuple[str, ...]] = [("train", key) for key in sorted(sections["train"])]
    keys += [("evaluate", key) for key in ("every", "patience") if key in sections["evaluate"]]
    keys += [("average",)] if recipe.average is not None else []
    return [(key, why, "remove it") for key in keys]
