"""Whether an update can have a static shape, and so become a CUDA graph or go through compiled layers."""

from __future__ import annotations

from collections.abc import Iterator

from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.sections.model import Scratch

_Key = tuple[str, ...]


def without_static_shapes(recipe: Recipe) -> Iterator[tuple[_Key, str]]:
    """(key to blame, what it does) for each choice with which updates have shapes of their own."""
    model, train, loss = recipe.model, recipe.train, recipe.loss
    choices: dict[_Key, tuple[bool, str]] = {
        ("model", "freeze"): (model.is_fitted, "leaves no updates"),
        ("model", "scratch", "architecture"): (
            model.name is None and (model.scratch or Scratch()).architecture == "ngrams",
            "takes texts in rows of their own",
        ),
        ("train", "packing"): (not train.packing, "gives each text a row of its own"),
        ("train", "kernels"): (train.kernels == "plain", "takes torch's own attention, text by text"),
        ("data", "windows"): (recipe.data.windows is not None, "gives each text as many rows as it has windows"),
        ("model", "dropout_samples"): (model.dropout_samples > 1, "makes several losses of a text"),
        ("train", "gradient_checkpointing"): (train.gradient_checkpointing, "asks the device for its random state"),
        ("train", "unfreeze"): (train.unfreeze is not None, "changes what is trained"),
        ("loss", "r_drop"): (bool(loss.r_drop), "takes several passes"),
        ("loss", "contrastive"): (bool(loss.contrastive), "compares texts by what class each is of"),
        ("loss", "adversarial"): (loss.adversarial is not None, "takes several passes"),
        ("distill",): (recipe.distill is not None, "brings a teacher's answer for each text"),
        ("few_shot", "pairs"): (recipe.learns_from_pairs, "takes texts in pairs"),
    }
    yield from ((key, what) for key, (applies, what) in choices.items() if applies)


def broken_graphs(recipe: Recipe) -> Iterator[tuple[_Key, str]]:
    """(key to blame, what is wrong and what to do) for what asks for static shapes beside something without."""
    for key, is_asked, instead in (
        ("cuda_graphs", recipe.train.cuda_graphs is True, "auto"),
        ("compile", recipe.train.compile, "false"),
    ):
        for other, what in without_static_shapes(recipe) if is_asked else ():
            yield (
                ("train", key),
                f"found true beside {'.'.join(other)}, which {what}; expected {instead}, or leave that out",
            )
