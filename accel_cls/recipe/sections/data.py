"""The recipe's section `data`: which files, and how they are written and read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.section import Section, setting


class Hub(Section):
    """A data set by its Hugging Face hub id. Naming one is what allows a network access."""

    hub: str = setting(
        ..., "a hub id such as 'org/name'", "hub id, or a local folder: in a hub's layout, or of save_to_disk"
    )
    config: str | None = setting(None, "a configuration's name", "which configuration of the data set")
    split: str = setting(..., "a split's name such as 'train'", "which split; slices such as 'train[:10%]' work")

    def __str__(self) -> str:
        return f"{self.hub} [{self.split}]"


_Path = Annotated[str, Field(min_length=1)]
Files = _Path | Annotated[list[_Path], Field(min_length=1)]
_FILES = "a file, a glob, a list of files, or {hub: ID, split: NAME}"


class Fold(Section):
    """One of several equal parts of the training examples, which is what the model is validated on."""

    number: int = setting(..., "a whole number from 1 to `of`", "which of them", "they are counted from 1", ge=1)
    of: int = setting(
        ...,
        "a whole number from 2 to 100",
        "how many parts there are",
        "one part leaves nothing to train on",
        ge=2,
        le=100,
    )

    def __str__(self) -> str:
        return f"fold {self.number} of {self.of}"


class Windows(Section):
    """Long texts as several windows, each of max_length tokens at most."""

    overlap: int = setting(
        32,
        "a whole number of tokens, 0 or more",
        "tokens that a window has in common with the one before it",
        ge=0,
    )
    most: int = setting(
        8,
        "a whole number, 2 or more",
        "windows of a text; of one that is longer than all of them together, truncate says what is cut off",
        "with one, a text is cut to it",
        ge=2,
    )
    pooling: Literal["mean", "max", "attention"] = setting(
        "mean",
        "'mean', 'max' or 'attention'",
        "how the vectors of a text's windows become the one that the last layer reads: their mean, the greatest of "
        "each number, or a mean whose weights are learned",
    )


class Data(Section):
    """The training, validation and test data."""

    train: Files | Hub = setting(..., _FILES, "training examples: csv, tsv, txt, json, jsonl, parquet; in .gz, .zip")
    validation: Annotated[float, Field(gt=0, lt=1)] | Files | Hub = setting(
        0.2,
        f"a fraction of the training examples between 0 and 1, or {_FILES}",
        "a fraction is split off the training examples, stratified by label and seeded by `seed`; "
        "examples of the same text stay together",
        "at 0 nothing is left to validate on, at 1 nothing to train on",
    )
    test: Annotated[float, Field(gt=0, lt=1)] | Files | Hub | None = setting(
        None,
        f"a fraction of the training examples between 0 and 1, or {_FILES}",
        "examples that nothing is chosen by: scored once, at a run's end, by the model that is kept. A fraction is "
        "split off before data.validation is, likewise",
        "at 0 nothing is left to test on, at 1 nothing to train on",
    )
    fold: Fold | None = setting(
        None,
        "a mapping, {number: 2, of: 5}",
        "cut the training examples into so many equal parts, by class, copies of a text together, and validate on one "
        "of them, in place of data.validation; repeat.folds trains with each of them in turn",
    )
    split_seed: int | None = setting(
        None,
        "a whole number from 0 to 4294967295",
        "draws fractions and folds of the training examples; null: `seed` does. With repeat.seeds it stays the first "
        "run's seed, so that all runs are judged by the same rows",
        "numpy seeds with 32 bits",
        ge=0,
        lt=2**32,
    )
    text: str | Annotated[list[str], Field(min_length=2, max_length=2)] = setting(
        "text", "a column's name, or a list of two for text pairs", "the column (or two columns) to read"
    )
    label: str | Annotated[list[str], Field(min_length=2)] = setting(
        "label",
        "a column's name; with task: multi_label also a list of columns, one for each class, that hold 0 or 1",
        "the column that holds the class, with task: regression a number; with task: multi_label, the classes: a "
        "list, or texts between separators",
    )
    slices: list[str] = setting(
        [],
        "a list of columns' names",
        "columns by which a finished run's score is told apart, such as a shop or a source, besides length, file, "
        "class and truncation; the model learns nothing of them",
    )
    label_separator: Annotated[str, Field(min_length=1)] = setting(
        ",",
        "one character or more, such as ';'",
        "with task: multi_label, what stands between the classes in a cell of the label column",
        "without one, a cell holds one class",
    )
    labels: (
        Annotated[dict[int | str | bool, str], Field(min_length=2)]
        | Annotated[list[int | str | bool], Field(min_length=2)]
        | None
    ) = setting(
        None,
        "two or more classes: a mapping from each value of the label column to a class name, or the list of values",
        "the classes, in the order of their ids, with task: ordinal from the lowest to the highest. Left out: the "
        "values found, numbers by size, other values by name with the digits in them compared as numbers (2 before "
        "10)",
    )
    columns: Annotated[list[str], Field(min_length=2)] | None = setting(
        None,
        "a list of all columns' names, in order",
        "for csv, tsv and txt files without a header line: what their columns are called",
    )
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = setting(
        None,
        "one character, such as ';' (a tab: \"\\t\", in double quotes)",
        "what stands between the cells of csv, tsv and txt files; null: a comma in csv, a tab in the others",
        "cells are told apart by a single character",
    )
    quote: Literal["double", "single", "none"] | None = setting(
        None,
        "'double', 'single' or 'none'",
        "in which quotes cells of csv, tsv and txt files may stand; null: double ones in csv, in others where all fit",
    )
    encoding: Annotated[str, Field(min_length=1)] | None = setting(
        None,
        "an encoding that Python knows, such as 'cp1252'",
        "what csv, tsv, txt, json and jsonl files are written in; null: UTF-8, or what a byte-order mark or their "
        "letters tell",
        "without a name it is none",
    )
    max_length: int = setting(
        128,
        "a whole number of tokens, 8 or more",
        "texts are cut to this many tokens, special tokens included",
        "two or three of them are special tokens, and words need the others",
        ge=8,
    )
    truncate: Literal["end", "start", "middle"] = setting(
        "end",
        "'end', 'start' or 'middle'",
        "which part of a text that is longer than max_length is cut off; middle keeps the start and the end, see "
        "head_tokens",
    )
    head_tokens: Annotated[int, Field(ge=1)] | None = setting(
        None,
        "a whole number of tokens, 1 or more",
        "with truncate: middle, how many tokens of the start are kept, special ones not counted; the others are of "
        "the end; of a text pair each text that is cut keeps as large a part. null: a quarter of max_length",
        "without one, it is truncate: start",
    )
    windows: Windows | None = setting(
        None,
        "a mapping, {overlap: 32, most: 8, pooling: mean}",
        "read a text that is longer than max_length in several windows, each as if it were a text, and pool their "
        "vectors before the last layer: one answer and one loss a text. null: it is cut",
    )
    invalid: Literal["error", "drop"] = setting(
        "error",
        "'error' or 'drop'",
        "what to do with rows whose text is empty or whose label is missing or not among `labels`",
    )
