"""Data files of any usual format and encoding, and hub data sets, as tables."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pyarrow as pa

from accel_cls.data.column_names import check_columns, check_twice, clean_names
from accel_cls.data.data_file import DataFile
from accel_cls.data.encoding import detect_encoding
from accel_cls.data.files import expand, is_saved
from accel_cls.data.json_records import read_json
from accel_cls.data.separated import SEPARATORS, FileFormat, read_separated
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, shown
from accel_cls.hub import why_offline
from accel_cls.recipe import Hub

if TYPE_CHECKING:
    from datasets import Dataset

_CLASSES = "ClassLabel"  # what a data set's metadata calls declared classes


@dataclass(frozen=True)
class SourceTable:
    """One file, or one hub data set."""

    name: str  # path or hub id
    table: Texts | Dataset  # just the columns that were wanted
    declared: tuple[str, ...] | None = None  # class names that it declares for its label column: what its ids mean


def read_table(
    source: str | list[str] | Hub,
    columns: Sequence[str],
    label_columns: Sequence[str],
    written: FileFormat,
    notes: list[str],
) -> list[SourceTable]:
    """Read the named columns of a source.

    Args:
        source: a file, a glob, a list of both, or a hub data set.
        columns: the text columns.
        label_columns: the label columns; none where labels are not wanted.
        written: how text files are written.
        notes: takes a line for each decision that the user should know of.

    Returns:
        A table for each file, in order: texts, or what a hub or Parquet data set holds.

    Raises:
        UserError: for a missing or unreadable file or column.
    """
    wanted = [*columns, *label_columns]
    label = label_columns[0] if len(label_columns) == 1 else None
    if isinstance(source, Hub):
        name, table = str(source), _read_hub(source)
        check_columns(name, table.column_names, wanted)
        return [SourceTable(name, table.select_columns(wanted), _declared(table, label))]
    tables = []
    for path in expand(source):
        read = read_file(path, wanted, written, notes)
        declared = None if isinstance(read, Texts) else _declared(read, label)
        tables.append(SourceTable(str(path), read, declared))
    return tables


def _datasets() -> ModuleType:
    """The library, quiet. Text files do without it: with pandas, which it needs, it takes 0.3 s to import."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what fails is raised, and said once, by us
    return datasets


def _declared(table: Dataset, column: str | None) -> tuple[str, ...] | None:
    """The class names that a data set declares for a column of classes, or of lists of them."""
    if column is None:
        return None
    feature = table.features[column]
    feature = getattr(feature, "feature", feature)
    return tuple(feature.names) if isinstance(feature, _datasets().ClassLabel) else None


def _read_hub(source: Hub) -> Dataset:
    datasets, is_folder = _datasets(), os.path.isdir(source.hub)
    try:
        if is_folder and is_saved(Path(source.hub)):
            return _read_saved(source.hub, source.split)
        return datasets.load_dataset(source.hub, source.config, split=source.split)
    except Exception as error:  # the hub's client raises a dozen kinds, all for the user to read
        reason = shown(str(error).splitlines()[0], 300) if str(error) else type(error).__name__
        reason = f"{reason}; {offline}" if not is_folder and (offline := why_offline()) else reason
        raise UserError(f"hub data set {shown(source.hub, 200)!r}, split {source.split!r}: {reason}") from error


def _read_saved(folder: str, split: str) -> Dataset:
    """A split, or slices of some, of what `save_to_disk` has written. What has no splits is "train", as on the hub."""
    datasets = _datasets()
    found = datasets.load_from_disk(folder)
    splits = {str(found.split or "train"): found} if isinstance(found, datasets.Dataset) else found
    lengths = {name: len(part) for name, part in splits.items()}
    slices = datasets.ReadInstruction.from_spec(split).to_absolute(lengths)
    parts = [splits[one.splitname].select(range(one.from_, one.to)) for one in slices]
    return datasets.concatenate_datasets(parts).with_format(None)


def read_file(path: Path, columns: Sequence[str] | None, written: FileFormat, notes: list[str]) -> Texts | Dataset:
    """The named columns of a file, or all. Text formats are read by Python's own parsers, for what others guess.

    `Dataset.from_csv` takes surplus cells of the first row for an index, `from_json` texts that look like
    dates for times, and both answer from a cache that a copied file's old time stamp deceives.
    """
    file = DataFile.at(path)
    try:
        file.check()
        notes.extend(file.notes)
        if file.ending == ".parquet":
            return _read_parquet(file, columns, notes)
        with file.open_text(detect_encoding(file, notes, written.encoding)) as text:
            if file.ending in SEPARATORS:
                return read_separated(file, text, columns, written, notes)
            return read_json(file, text, columns, notes)
    except (OSError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"{path}: not readable as {file.ending[1:]}: {str(error).splitlines()[0]}") from error


def _read_parquet(file: DataFile, columns: Sequence[str] | None, notes: list[str]) -> Dataset:
    import pyarrow.parquet

    path = file.path
    table = pyarrow.parquet.ParquetFile(pa.BufferReader(file.buffer())).read()
    names = clean_names(path, table.column_names, notes)
    table = table.rename_columns(names).replace_schema_metadata(table.schema.metadata)
    all_texts = columns is not None  # else there may be images among them
    if columns is None:
        columns = [name for name, count in Counter(names).items() if count == 1]
    check_columns(str(path), names, columns)
    check_twice(path, names, columns)
    table = table.select(list(dict.fromkeys(columns)))
    for name in table.column_names:
        kind = table.schema.field(name).type
        try:
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                table[name].validate(full=True)
            elif all_texts and _holds_bytes(kind):
                table[name].cast(pa.large_string()).validate(full=True)
            elif not pa.types.is_primitive(kind) or pa.types.is_temporal(kind):
                table[name].to_pylist()
        except (pa.ArrowInvalid, ValueError, OverflowError) as error:
            what = "bytes that are not UTF-8" if "UTF" in str(error) or "utf" in str(error) else f"a value: {error}"
            raise UserError(f"{path}: the column {name!r} holds {what}; write it again as texts") from error
    return _with_classes(table)


def _holds_bytes(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        check(kind)
        for check in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
            pa.types.is_binary_view,
        )
    )


def _with_classes(table: pa.Table) -> Dataset:
    """A table with the class names that its metadata declares. All else there is left alone: it may name files."""
    datasets = _datasets()
    metadata = (table.schema.metadata or {}).get(b"huggingface", b"{}")
    table = table.replace_schema_metadata(None)
    try:
        declared = json.loads(metadata)["info"]["features"]
        features_of = {name: declared[name].get("feature", declared[name]) for name in table.column_names}
        names = {name: one["names"] for name, one in features_of.items() if one["_type"] == _CLASSES}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # of another origin, or none
        names = {}
    features = datasets.Features.from_arrow_schema(table.schema)
    for name, classes in names.items():
        kind = table.schema.field(name).type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        is_ids = pa.types.is_integer(kind.value_type if is_list else kind)
        if is_ids and isinstance(classes, list) and all(isinstance(one, str) for one in classes):
            label = datasets.ClassLabel(names=classes)
            features[name] = datasets.List(label) if is_list else label
    return datasets.Dataset(table.cast(features.arrow_schema), datasets.DatasetInfo(features=features))
