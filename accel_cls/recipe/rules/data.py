"""Rules that span what a recipe says of its data: cells, columns, labels, parts."""

from __future__ import annotations

from accel_cls.recipe.canonical import canonical_label, is_encoding
from accel_cls.recipe.rules.decisions import unknown_classes
from accel_cls.recipe.schema import Recipe

_Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do


def broken_data(recipe: Recipe) -> _Broken:
    """The key to blame, what is wrong and what to do, for each broken rule."""
    return [
        *_broken_cells(recipe),
        *_broken_labels(recipe),
        *_broken_columns(recipe),
        *(_broken_numbers(recipe) if recipe.task == "regression" else []),
    ]


def _broken_cells(recipe: Recipe) -> _Broken:
    """How files are written, and how large parts of them are."""
    broken: _Broken = []
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
