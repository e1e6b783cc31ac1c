"""What a model folder's trained head is worth for a recipe's classes: kept, put in their order, or made anew."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import set_seed
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from accel_cls.errors import listed

SINGLE_LABEL = "single_label_classification"  # transformers' problem_type of one class a text
REGRESSION = "regression"


@dataclass(frozen=True)
class HeadClasses:
    """What the outputs of a head stand for."""

    names: tuple[str, ...]  # in the order of their ids
    problem_type: str  # transformers' name for what is learned

    @classmethod
    def of(cls, config: Any) -> HeadClasses:
        """Those that a configuration speaks of.

        One without a problem type is for one class a text, as most are, or has a single output: a score, as
        cross-encoders have it. transformers takes both so.
        """
        names = {int(i): str(name) for i, name in config.id2label.items()}
        usual = SINGLE_LABEL if len(names) > 1 else REGRESSION
        return cls(tuple(names[i] for i in sorted(names)), config.problem_type or usual)

    def set_in(self, config: Any) -> None:
        """Write them into a configuration."""
        config.num_labels = len(self.names)
        config.id2label = dict(enumerate(self.names))
        config.label2id = {name: i for i, name in enumerate(self.names)}
        config.problem_type = self.problem_type


def output_layer(outline: PreTrainedModel) -> tuple[str, ...]:
    """The names of the parameters with a row for each class: the last projection's weight and bias.

    Whatever a family calls them, they are what is larger where there is a class more.

    Args:
        outline: the classifier on the meta device.
    """
    config = copy.deepcopy(outline.config)
    config.num_labels = outline.config.num_labels + 1
    with torch.device("meta"):
        larger = dict(AutoModelForSequenceClassification.from_config(config).named_parameters())
    return tuple(
        name
        for name, p in outline.named_parameters()
        if name in larger and len(p.shape) and len(p) + 1 == len(larger[name])  # adapters are in none of transformers'
    )


def match_head(
    model: PreTrainedModel,
    layer: Sequence[str],
    fresh: Set[str],
    trained: HeadClasses,
    wanted: HeadClasses,
    folder: str,
    seed: int,
    notes: list[str],
) -> PreTrainedModel:
    """The model, its head's rows those of the wanted classes: by name where the names match, else made anew.

    Args:
        model: as it was loaded.
        layer: the head's parameters with a row for each class, see `output_layer`.
        fresh: the names of parameters that the folder lacks, or has in another shape.
        trained: what the folder's configuration says of its head.
        wanted: the recipe's classes.
        folder: what the user calls the folder.
        seed: of the head that is made anew: as if the folder had none.
        notes: takes a line that says which.
    """
    reason = ""
    if trained.problem_type != wanted.problem_type:
        reason = f"it was trained for {trained.problem_type}, not for {wanted.problem_type}"
    elif wanted.problem_type == REGRESSION:
        reason = "it answers in the unit of other labels"
    elif sorted(trained.names) != sorted(wanted.names):
        reason = f"its classes are {listed(trained.names, 5)}, not {listed(wanted.names, 5)}"
    elif fresh & set(layer):
        reason = f"its weights are not for the {len(wanted.names)} classes that its config.json names"
    if reason:
        notes.append(f"the head of {folder} is made anew: {reason}")
        return model if set(layer) <= set(fresh) else _without_rows(model, layer, seed)
    if trained.names == wanted.names:
        notes.append(f"the head of {folder} is kept: its classes are these")
        return model
    order = [trained.names.index(name) for name in wanted.names]
    with torch.no_grad():
        for name in layer:
            parameter = model.get_parameter(name)
            parameter.copy_(parameter[order])
    notes.append(f"the head of {folder} is kept, each class by its name: there they are {listed(trained.names, 5)}")
    return model


def _without_rows(model: PreTrainedModel, layer: Sequence[str], seed: int) -> PreTrainedModel:
    """The model as it would have been loaded from a folder without these parameters. Shares all others' memory."""
    rest: Mapping[str, torch.Tensor] = {name: w for name, w in model.state_dict().items() if name not in layer}
    set_seed(seed)
    return type(model).from_pretrained(None, config=model.config, state_dict=rest, dtype=torch.float32)
