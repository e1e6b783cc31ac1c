"""What no single key can say of how long texts are read."""

from __future__ import annotations

from collections.abc import Iterator

from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.sections.data import Windows
from accel_cls.recipe.sections.model import Scratch


def broken_lengths(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key to blame, what is wrong and what to do) for each broken rule of how long texts are read."""
    data, tokens, windows = recipe.data, recipe.train.micro_batch_tokens, recipe.data.windows
    if tokens != "auto" and tokens < data.max_length:
        yield (
            ("train", "micro_batch_tokens"),
            f"found {tokens}; expected at least data.max_length, which is {data.max_length}: the longest text "
            "must fit",
        )
    if data.head_tokens is not None and data.head_tokens >= data.max_length:
        yield (
            ("data", "head_tokens"),
            f"found {data.head_tokens}; expected less than data.max_length, which is {data.max_length}: the text's "
            "end and special tokens need room, too",
        )
    if windows is not None:
        yield from _broken_windows(recipe, windows)


def _broken_windows(recipe: Recipe, windows: Windows) -> Iterator[tuple[tuple[str, ...], str]]:
    data, model, tokens = recipe.data, recipe.model, recipe.train.micro_batch_tokens
    whole = windows.most * data.max_length
    if windows.overlap > data.max_length // 2:
        half = data.max_length // 2
        message = f"found {windows.overlap}; expected {half} at most, half of data.max_length: windows have to move on"
        yield ("data", "windows", "overlap"), message
    if tokens != "auto" and data.max_length <= tokens < whole:
        yield (
            ("train", "micro_batch_tokens"),
            f"found {tokens}; expected at least {whole}, data.windows.most × data.max_length: all windows of a text "
            "go through the model together",
        )
    if not isinstance(data.text, str):
        message = "found it beside two columns in data.text: only single texts have windows; leave it out"
        yield ("data", "windows"), message
    scratch = model.scratch or Scratch()
    if model.name is None and scratch.architecture == "ngrams":
        message = "found it beside a bag of n-grams, which reads texts of any length; leave it out, raise max_length"
        yield ("data", "windows"), message
    if windows.pooling == "attention" and model.freeze is not None:
        message = "found attention beside model.freeze, with which its weights would not be learned; take mean or max"
        yield ("data", "windows", "pooling"), message


def idle_lengths(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Settings of it that change nothing: (key, why, what to do)."""
    if recipe.data.head_tokens is not None and recipe.data.truncate != "middle":
        why = f"not used, since data.truncate is {recipe.data.truncate}"
        yield ("data", "head_tokens"), why, "remove it, or write truncate: middle"
