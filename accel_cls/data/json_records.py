"""JSON files as tables: a list of objects, an object a line, and what pandas and annotation tools make of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from accel_cls.data.byte_order_marks import MARK, MarksLeftOut
from accel_cls.data.column_names import check_columns, check_names, check_twice, clean_names
from accel_cls.data.data_file import DataFile
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError, listed, shown

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(file: DataFile, content: TextIO, columns: Sequence[str] | None, notes: list[str]) -> Texts:
    """The named columns, or all. A key that an object lacks is a missing value.

    What is nested has a dotted path for its name: `data.text`, and `labels.0.name` in lists of one object.

    Raises:
        UserError: for what is no JSON, and a column that is not there.
    """
    path = file.path
    with json_explained(path):
        records = _with_clean_keys(path, list(json_records(file, content, notes)), notes)
        nested = json_paths(records)
        names = list(dict.fromkeys([*(name for record in records for name in record), *nested]))
        if columns is None:
            within = {name.partition(".")[0] for name in nested if "." in name}
            columns = nested if within else names
        if records:
            check_columns(str(path), names, columns)
        check_names(path, columns)
        return Texts.of({column: [json_cell(record, column) for record in records] for column in columns})


def json_records(file: DataFile, content: TextIO, notes: list[str]) -> Iterator[dict[str, Any]]:
    """The objects of a file, in order; those of `.jsonl` one by one, those of `.json` are in memory together.

    Raises:
        ValueError, RecursionError: as `json_explained` explains them.
    """
    if file.ending != ".json":
        yield from _json_lines(file.path, content, notes)
        return
    text = content.read().lstrip(MARK)
    records = _json_list(text) if text.lstrip()[:1] == "[" else _wrapped(file.path, text, notes)
    if records is None:  # many hold an object a line
        yield from _json_lines(file.path, text.split("\n"), notes)
    else:
        yield from records


@contextmanager
def json_explained(path: Path) -> Iterator[None]:
    """Make what is no JSON a message to the user, with the file's name."""
    try:
        yield
    except RecursionError as error:
        raise UserError(f"{path}: not readable as JSON: {_DEEP}") from error
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON: {error}") from error


def json_cell(record: dict[str, Any], column: str) -> str | None:
    """What stands under a key or a dotted path, as a text; None where there is nothing."""
    return _scalar(_at(record, column))


def _at(record: dict[str, Any], column: str) -> Any:
    """What stands under a key, or at the end of a dotted path; None where there is nothing."""
    if column in record:
        return record[column]
    value: Any = record
    for part in column.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def json_paths(records: Iterable[dict[str, Any]]) -> list[str]:
    """The paths of all that is no object, in order. A list of objects is taken for one where it never has two."""
    lists: set[str] = set()  # paths of lists of objects
    many: set[str] = set()  # of these, those that have several somewhere

    def walk(value: Any, path: str) -> Iterator[str]:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from walk(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            lists.add(path)
            if len(value) > 1:
                many.add(path)
            yield path
            yield from walk(value[0], f"{path}.0")
        else:
            yield path

    found = dict.fromkeys(name for record in records for name in walk(record, "") if name)
    return [name for name in found if not _is_within(name, many) and (name not in lists or name in many)]


def _is_within(name: str, lists: Set[str]) -> bool:
    """Whether a path leads into one of these lists."""
    parts = name.split(".")
    return bool(lists) and any(".".join(parts[:n]) in lists for n in range(1, len(parts)))


def _wrapped(path: Path, text: str, notes: list[str]) -> list[dict[str, Any]] | None:
    """The rows of one object around all of them; None where a file is no such object.

    pandas writes columns of rows (its default), rows by their index, `split` and `table`; others put a list under a
    key of its own.

    Raises:
        UserError: for several lists of rows.
    """
    try:
        whole = _JSON.decode(text)
    except ValueError:
        return None
    if not isinstance(whole, dict):
        return None
    rows, how = None, ""
    lists = [k for k, v in whole.items() if isinstance(v, list) and v and all(isinstance(item, dict) for item in v)]
    if _are_columns(whole):
        keys = next(iter(whole.values()))
        rows, how = [{name: whole[name][key] for name in whole} for key in keys], "its objects are columns"
    elif _are_rows(whole):
        rows, how = [*whole.values()], "its objects are rows"
    elif {"columns", "data"} <= whole.keys() and all(isinstance(whole[key], list) for key in ("columns", "data")):
        rows, how = [dict(zip(map(str, whole["columns"]), row, strict=False)) for row in whole["data"]], "it is split"
    elif len(lists) == 1:
        rows, how = whole[lists[0]], f"its rows are those under {lists[0]!r}"
    elif len({frozenset(whole[name][0]) for name in lists}) == 1:  # else lists of other things, within one row
        raise UserError(
            f"{path}: its rows are under several keys, {listed([f'{name} ({len(whole[name])})' for name in lists])}; "
            f"put each list into a file of its own, such as {lists[0]}.json"
        )
    if rows is not None:
        notes.append(f"{path.name}: {how}")
    return rows


def _are_columns(whole: dict[str, Any]) -> bool:
    """Whether an object holds columns: objects of the same keys, which are the rows' numbers, or more than columns."""
    inner = [[*value] if isinstance(value, dict) else [] for value in whole.values()]
    if not inner or not inner[0] or any(keys != inner[0] for keys in inner):
        return False
    if _are_numbers(inner[0]) or _are_numbers(whole):
        return _are_numbers(inner[0]) and (not _are_numbers(whole) or inner[0] == [*map(str, range(len(inner[0])))])
    return len(inner[0]) > len(whole)


def _are_rows(whole: dict[str, Any]) -> bool:
    """Whether an object that holds no columns holds rows: objects with a key in common, by numbers or many names."""
    inner = [{*value} if isinstance(value, dict) else set() for value in whole.values()]
    if not inner or not {*inner[0]}.intersection(*inner):
        return False
    return _are_numbers(whole) or len(whole) > len(set().union(*inner))


def _are_numbers(keys: Iterable[str]) -> bool:
    return all(key.isdecimal() for key in keys)


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:  # more digits than Python takes
        raise ValueError(f"a number of {len(digits)} digits; write it as a text, in quotes") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(twice)!r} stands twice in an object; keep one")
    return record


# NaN, which is no JSON but is often written, is a missing value.
_JSON = json.JSONDecoder(
    parse_int=_whole, parse_constant=lambda word: None if word == "NaN" else word, object_pairs_hook=_object
)
_DEEP = "nested too deeply for a text or a label"


def _json_list(text: str) -> list[dict[str, Any]]:
    try:
        records = _JSON.decode(text)
        if not isinstance(records, list):
            raise ValueError(f"found {shown(json.dumps(records))}; expected a list of objects")
        for number, record in enumerate(records, start=1):
            if not isinstance(record, dict):
                raise ValueError(f"item {number} is {shown(json.dumps(record))}; expected an object")
    except RecursionError as error:
        raise ValueError(_DEEP) from error
    return records


def _with_clean_keys(path: Path, records: list[dict[str, Any]], notes: list[str]) -> list[dict[str, Any]]:
    """Rows whose keys have no byte-order mark, as that of a csv file that they were made of stands in its first."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    names = dict(zip(keys, clean_names(path, keys, notes), strict=True))
    if all(key == name for key, name in names.items()):
        return records
    for record in records:
        check_twice(path, [names[key] for key in record], list(names.values()))
    return [{names[key]: value for key, value in record.items()} for record in records]


def _json_lines(path: Path, lines: Iterable[str], notes: list[str]) -> Iterator[dict[str, Any]]:
    marked = []
    for number, line in enumerate(lines, start=1):
        if line[:1] == MARK:
            line = line.lstrip(MARK)
            if number > 1:  # else the file's own
                marked.append(f"{path.name}, line {number}")
        if not line.strip():
            continue
        try:
            record = _JSON.decode(line)
            if not isinstance(record, dict):
                raise ValueError(f"found {shown(json.dumps(record))}; expected an object")
        except RecursionError as error:
            raise ValueError(f"line {number}: {_DEEP}") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        yield record
    if marked:
        notes.append(MarksLeftOut(marked))


def _scalar(value: Any) -> str | None:
    """A JSON value as a text: a string as it is, anything else as JSON writes it.

    Half a character, as a text has that was cut within an emoji's \\ud83d\\ude00, becomes U+FFFD.
    """
    text = value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text is None or text.isascii() else _SURROGATE.sub("\ufffd", text)
