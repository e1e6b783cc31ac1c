"""`accel-cls new`: from a data file to a recipe beside its schema, and what to do next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from accel_cls.authoring.audit import alike_classes
from accel_cls.authoring.columns import Choice, Table, choose_text, look_at
from accel_cls.authoring.draft import Draft, Wishes, draft, slug
from accel_cls.authoring.labelling import Labelling, find_labelling, labelling_of
from accel_cls.authoring.survey import Survey, class_names_beside, survey
from accel_cls.console import Console
from accel_cls.data.byte_order_marks import unmarked
from accel_cls.data.data_file import DataFile, stem_of
from accel_cls.data.encoding import detect_encoding
from accel_cls.data.labels import found_classes
from accel_cls.errors import UserError
from accel_cls.profiles import shell
from accel_cls.recipe import load_recipe
from accel_cls.recipe.canonical import canonical_label
from accel_cls.recipe.json_schema import write_schema_beside


def new_recipe(
    data: Path,
    validation: Path | None,
    test: Path | None,
    out: Path | None,
    text: Sequence[str] | None,
    label: Sequence[str] | None,
    model: str | None,
    quick: bool,
    classes: Path | None,
    name: str | None,
    force: bool,
    encoding: str | None,
    ask: Callable[[str, Choice], tuple[str, ...]],
) -> None:
    """Write a recipe for labelled data and say what was decided.

    Args:
        data: the examples.
        validation: a validation file; None splits some off.
        test: a file of test rows; None for none.
        out: the recipe to write; None for NAME.yaml in the current folder.
        text: the text column, or two; None finds it.
        label: the label column, or several of 0 and 1, one for each class; None finds them.
        model: a pretrained encoder, a folder or a hub id; None builds one from scratch.
        quick: whether the head alone is trained, on the encoder as it is.
        classes: a file with the names of the classes, in order; None looks for one beside the data.
        name: what the run is called; None takes the data file's name.
        force: replace a recipe that is there.
        encoding: of the data files; None finds it.
        ask: chooses the columns for a role where several may be meant.

    Raises:
        UserError: where the data can't be used, or the recipe is there already.
    """
    name = slug(name or (out.stem if out is not None else stem_of(data)))
    out = (out or Path(f"{name}.yaml")).expanduser()
    if out.exists() and not force:
        raise UserError(f"{out} is there already; give another --out, or replace it with --force")
    if out.exists() and any(one.exists() and out.samefile(one) for one in (data, validation, test) if one is not None):
        raise UserError(f"--out {out}: is a data file, and would be replaced; name another one")
    if text is not None and (len(text) > 2 or len(set(text)) < len(text)):
        raise UserError(f"--text: found {', '.join(text)}; expected one column, or two different ones for text pairs")
    table = look_at(data, encoding)
    text_choice, labelling = _choose_columns(data, table, text, label, ask)
    found = survey(table, validation, test, text_choice.columns, labelling, model)
    values = found.corpus.classes.values
    if labelling.entries:  # they have numbers, as far as files of names are concerned
        values = tuple(map(str, range(len(labelling.entries))))
    named = _class_names(classes, table, labelling.choice, values)
    class_names, names_from = named or (None, "")
    wishes = Wishes(name, validation, test, model, quick, class_names, names_from, out)
    written = draft(table, text_choice, labelling, found, wishes)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(written.text, encoding="utf-8")
    schema = write_schema_beside(out)
    load_recipe(out)  # what we write must be right

    _show(data, table, found, written, out, schema)


def _choose_columns(
    data: Path,
    table: Table,
    text: Sequence[str] | None,
    label: Sequence[str] | None,
    ask: Callable[[str, Choice], tuple[str, ...]],
) -> tuple[Choice, Labelling]:
    """The text column, or two, and the label column, or several: given, or found and settled by asking."""
    for column in (*(text or ()), *(label or ())):
        if column not in table.columns:
            raise UserError(f"{data}: there is no column {column!r}; it has {', '.join(map(repr, table.columns))}")
    labelling = labelling_of(table.columns, label) if label else find_labelling(table.columns)
    if (columns := ask("label", labelling.choice)) != labelling.choice.columns:
        labelling = labelling_of(table.columns, columns)
    text_choice = _given(text) if text else choose_text(table.columns, labelling.choice.columns)
    text_choice = _chosen("text", text_choice, ask)
    if both := {*labelling.choice.columns} & {*text_choice.columns}:
        raise UserError(f"--text and --label: found {both.pop()!r} for both; expected different columns")
    return text_choice, labelling


def _show(data: Path, table: Table, found: Survey, written: Draft, out: Path, schema: Path | None) -> None:
    """What was decided, and what to do next."""
    console = Console()
    language = ("language", found.language)
    console.section(f"{data}: {len(table):,} rows", [language, *written.decisions])
    alike = [f"{one.what}; {one.advice}" for one in alike_classes(found.corpus.classes.names)]
    for note in [*table.notes, *alike]:
        console.note(note)
    precision = _precision(found)
    beside = f" (and {schema.name} beside it, for editors)" if schema is not None else ""
    console.section(
        f"wrote {out}{beside}",
        [
            ("look at it", shell(["accel-cls", "check", str(out)])),
            ("train it", shell(["accelerate", "launch", *precision, "-m", "accel_cls.train", str(out)])),
        ],
    )


def _precision(found: Survey) -> list[str]:
    """What the launcher is told of the precision: it takes fp32 by itself, also where bf16 is faster."""
    if found.hidden_size is None:
        return []
    from accel_cls.devices.fast_bf16 import fast_bf16  # these import torch, as a model has already
    from accel_cls.devices.usual import usual_device

    return [] if fast_bf16(usual_device().type, found.hidden_size) is None else ["--mixed_precision", "bf16"]


def _given(columns: Sequence[str]) -> Choice:
    return Choice(tuple(columns), "as you said", ())


def _chosen(role: str, choice: Choice, ask: Callable[[str, Choice], tuple[str, ...]]) -> Choice:
    """The choice, or another one where the author was asked and said so."""
    columns = ask(role, choice)
    return choice if columns == choice.columns else _given(columns)


def _class_names(
    given: Path | None, table: Table, label: Choice, values: Sequence[str]
) -> tuple[tuple[str, ...], str] | None:
    """The names of the classes, in order, and what says so, if anything does."""
    if given is None and label.codes is not None:
        return _by_code(table, label.columns[0], label.codes, values)
    if given is None:
        beside = class_names_beside(table, values)
        return (beside[1], beside[0].name) if beside is not None else None
    try:
        file = DataFile.at(given)
        with file.open_text(detect_encoding(file, [])) as content:
            names = [line.strip() for line in unmarked(content.read()).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--classes {given}: not readable: {error}") from error
    if len(names) != len(values) or len(set(names)) != len(names):
        raise UserError(
            f"--classes {given}: found {len(set(names))} different names; expected one for each of the "
            f"{len(values)} classes: {', '.join(values[:10])}"
        )
    if set(names) != set(values) and not all(re.fullmatch(r"[-+]?[0-9]+", value) for value in values):
        raise UserError(
            f"--classes {given}: found names for {', '.join(values[:10])}, which are names already. A file of names, "
            "in order, is for numbers; a file of these names gives their order"
        )
    return tuple(names), given.name


def _by_code(table: Table, label: str, codes: str, values: Sequence[str]) -> tuple[tuple[str, ...], str] | None:
    """The names in a label column in the order of their codes: their ids are then those that others know."""
    cells = ([canonical_label(cell) for cell in table.columns[column]] for column in (codes, label))
    name_of = dict(zip(*cells, strict=True))
    names = tuple(name_of[code] for code in found_classes(Counter(name_of), codes).values)
    return (names, f"the codes in {codes!r}") if {*names} == {*values} else None
