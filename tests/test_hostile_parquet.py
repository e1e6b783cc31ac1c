"""Parquet of false metadata, odd types, broken bytes or missing pages: read just so, or refused with a reason."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from harm import Payload
from hostile_data import PLAIN, Rows, answer, check, table_bytes
from hostile_data import alone as alone


def _arrow(metadata: dict[bytes, bytes] | None = None, **columns: Any) -> Callable[[Path], Any]:
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"]} | columns)
    return lambda path: pa.parquet.write_table(table.replace_schema_metadata(metadata), path)


def _declared(label: Any, column: Any = ("x", "y")) -> Callable[[Path], Any]:
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": label}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    return _arrow(metadata, label=column if isinstance(column, pa.Array) else pa.array(list(column)))


def _raw_strings(*cells: bytes) -> pa.Array:
    return pa.array(cells, pa.binary()).view(pa.string())


CLASSES = {"names": ["bad", "good"], "_type": "ClassLabel"}
XY = Rows(["a", "b"], ["x", "y"])
PARQUET: list[tuple[str, Callable[[Path], Any], Any]] = [
    ("metadata that is no JSON", _arrow({b"huggingface": b"\xff{"}), XY),
    ("metadata of another shape", _arrow({b"huggingface": b'{"info": [1, 2]}'}), XY),
    ("metadata nested deeply", _arrow({b"huggingface": b"[" * 100_000}), XY),
    ("metadata of an unknown kind", _declared({"_type": "os.system", "x": 1}), XY),
    (
        "metadata of other columns",
        _arrow({b"huggingface": b'{"info": {"features": {"q": {"_type": "Value", "dtype": "int8"}}}}'}),
        XY,
    ),
    ("declared image", _declared({"_type": "Image"}), XY),
    ("declared classes of texts", _declared(CLASSES, ["good", "bad"]), Rows(["a", "b"], ["good", "bad"])),
    (
        "declared class out of range",
        _declared(CLASSES, [0, 7]),
        "a.parquet:2: found the class id 7; the data set declares 2 classes",
    ),
    ("declared class far below 0", _declared(CLASSES, [0, -7]), "a.parquet:2: found the class id -7"),
    (
        "declared classes that are no texts",
        _declared({"names": [1, {}], "_type": "ClassLabel"}, [0, 1]),
        Rows(["a", "b"], ["0", "1"]),
    ),
    ("pickled pandas metadata", _arrow({b"pandas": pickle.dumps(Payload())}), XY),
    (
        "extension type with a pickle",
        lambda p: pa.parquet.write_table(
            pa.table(
                [pa.array(["a", "b"]), pa.array(["x", "y"])],
                schema=pa.schema(
                    [
                        pa.field(
                            "text",
                            pa.string(),
                            metadata={
                                b"ARROW:extension:name": b"arrow.py_extension_type",
                                b"ARROW:extension:metadata": pickle.dumps(Payload()),
                            },
                        ),
                        pa.field("label", pa.string()),
                    ]
                ),
            ),
            p,
        ),
        XY,
    ),
    (
        "bytes that are no UTF-8 in a text",
        _arrow(text=_raw_strings(b"a", b"\xff\xfe")),
        ["a.parquet: ", "the column 'text' holds bytes that are not UTF-8"],
    ),
    (
        "bytes that are no UTF-8 in a label",
        _arrow(label=_raw_strings(b"x", b"\xff")),
        ["a.parquet: ", "the column 'label' holds bytes that are not UTF-8"],
    ),
    (
        "column twice",
        lambda p: pa.parquet.write_table(
            pa.table(
                [pa.array(["a", "b"]), pa.array(["c", "d"]), pa.array(["x", "y"])], names=["text", "text", "label"]
            ),
            p,
        ),
        "a.parquet: the column 'text' stands twice",
    ),
    (
        "numbers as texts, one of them none",
        _arrow(text=[1.5, float("nan")]),
        "the text is empty in 1 row: a.parquet:2",
    ),
    ("nulls only", _arrow(text=pa.nulls(2)), "the text is empty in 2 rows"),
    ("dates", _arrow(text=pa.array([0, 1], pa.date32())), Rows(["1970-01-01", "1970-01-02"], ["x", "y"])),
    (
        "date beyond the calendar",
        _arrow(text=pa.array([2**31 - 1, 1], pa.date32())),
        "a.parquet: the column 'text' holds a value: days=2147483647",
    ),
    ("lists as labels", _arrow(label=pa.array([[1], [2]])), "the label is a list of classes, which needs"),
    ("structs as texts", _arrow(text=pa.array([{"a": 1}, {"a": 2}])), Rows(['{"a": 1}', '{"a": 2}'], ["x", "y"])),
    ("1,000 columns", _arrow(**{f"c{i}": [1, 2] for i in range(998)}), XY),
    ("dictionary-encoded", _arrow(text=pa.array(["a", "b"]).dictionary_encode()), XY),
    ("cut in the middle", lambda p: p.write_bytes(table_bytes()[:-30]), "a.parquet: not readable as parquet"),
    (
        "pages overwritten",
        lambda p: p.write_bytes(table_bytes()[:4] + b"\xff" * 60 + table_bytes()[64:]),
        "a.parquet: not readable as parquet",
    ),
]


@pytest.mark.parametrize(("write", "expected"), [case[1:] for case in PARQUET], ids=[case[0] for case in PARQUET])
def test_parquet(write, expected):
    check(answer("a.parquet", write), expected)


def test_declared_classes_are_still_read():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features).to_parquet("b.parquet")
    check(answer("other.csv", PLAIN, train="b.parquet", validation="b.parquet"), Rows(["a", "b"], ["good", "bad"]))
