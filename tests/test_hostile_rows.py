"""Rows and columns that are ragged, huge, unclosed or oddly named: read just so, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hostile_data import PLAIN, Content, Rows, answer, check
from hostile_data import alone as alone

WIDE = [f"c{i}" for i in range(998)]
ROWS: list[tuple[str, str, Content, dict[str, Any], Any]] = [
    (
        "1,000 columns",
        "a.csv",
        ",".join([*WIDE, "text", "label"]) + f"\n{'1,' * 998}a,x\n{'2,' * 998}b,y\n",
        {},
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "1,000 columns, none of them ours",
        "a.csv",
        ",".join(WIDE) + "\n",
        {},
        ["there is no column 'text'", "'c0', 'c1'", "and 978 more"],
    ),
    (
        "1,000 columns, a row too short",
        "a.csv",
        ",".join([*WIDE, "text", "label"]) + "\n1,2\n",
        {},
        ["a.csv: row 1 has 2 cells, expected 1000"],
    ),
    (
        "row of a million cells",
        "a.csv",
        "text,label\n" + "a," * 1_000_000 + "\n",
        {},
        ["row 1 has 1000001 cells, expected 2"],
    ),
    (
        "name of a column of a million letters",
        "a.csv",
        "x" * 1_000_000 + ",label\na,b\n",
        {},
        "there is no column 'text'",
    ),
    (
        "ragged rows",
        "a.csv",
        "text,label\na,x\nb\nc,y,z\n",
        {},
        "a.csv: row 2 has 1 cell, expected 2 (text, label): 'b'",
    ),
    ("ragged rows of tabs", "a.tsv", "text\tlabel\na\tx\nb\ty\tz\n", {}, "a.tsv: row 2 has 3 cells, expected 2"),
    (
        "quote that is open at the end",
        "a.csv",
        'label,text\nx,a\ny,"b\nx,c\ny,d\n',
        {},
        "a.csv: a quote that opens in the row of line 3 is never closed; close it",
    ),
    (
        "quote that is open in the last cell",
        "a.csv",
        'label,text\nx,a\ny,"b',
        {},
        "a.csv: a quote that opens in the row of line 3 is never closed",
    ),
    (
        "quote that is open in the header",
        "a.csv",
        '"label,text\nx,a\ny,b\n',
        {},
        "a.csv: a quote that opens in the row of line 1 is never closed",
    ),
    ("header without names", "a.csv", ",,\na,x,1\n", {}, "there is no column 'text'"),
    ("header of NULs", "a.csv", "\0,\0\na,x\n", {}, "a.csv: looks like UTF-16 or UTF-32 without a byte-order mark"),
    ("header alone, without a line end", "a.csv", "text,label", {}, "a.csv: there are no rows in it"),
    ("separator is NUL", "a.csv", "text\0label\na\0x\nb\0y\n", {"separator": "\0"}, Rows(["a", "b"], ["x", "y"])),
    ("separator is an emoji", "a.csv", "text😀label\na😀x\nb😀y\n", {"separator": "😀"}, Rows(["a", "b"], ["x", "y"])),
    (
        "columns with odd names",
        "a.csv",
        '"=1+1","a\nb"\na,x\nb,y\n',
        {"text": "=1+1", "label": "a\nb"},
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "column called like a key",
        "a.jsonl",
        '{"__class__": "a", "label": "x"}\n{"__class__": "b", "label": "y"}\n',
        {"text": "__class__"},
        Rows(["a", "b"], ["x", "y"]),
    ),
    ("label column is the text column", "a.csv", PLAIN, {"label": "text"}, Rows(["ä", "好"], ["ä", "好"])),
    (
        "1,001 classes",
        "a.csv",
        "text,label\n" + "".join(f"t{i},l{i}{'z' * 9999}\n" for i in range(1001)),
        {},
        ["data.label: the column 'label' has 1001 different values", "data.labels"],
    ),
    (
        "label of 100,000 letters that is not among the classes",
        "a.csv",
        f"text,label\na,x\nb,y\nc,{'z' * 100_000}\n",
        {"labels": ["x", "y"]},
        ["the label 'zzz", "is not among x, y in 1 row: a.csv:3"],
    ),
    (
        "label that is not among 500 classes",
        "a.csv",
        "text,label\na,x\n",
        {"labels": [f"class {i}" for i in range(500)]},
        ["the label 'x' is not among class 0, class 1", "and 480 more"],
    ),
    (
        "label with a terminal escape that is not among the classes",
        "a.csv",
        "text,label\na,\x1b[31m\n",
        {"labels": ["x\x1b[0m", "y"]},
        [r"the label '\x1b[31m' is not among x\x1b[0m, y"],
    ),
    (
        "pairs, one text of them NUL",
        "a.csv",
        "a,b,label\n\0,q,x\nr,s,y\n",
        {"text": ["a", "b"]},
        Rows(["\0 | q", "r | s"], ["x", "y"]),
    ),
    (
        "pairs of right to left and left to right",
        "a.csv",
        "a,b,label\nשלום,\u202eq,x\nr,s,y\n",
        {"text": ["a", "b"]},
        Rows(["שלום | \u202eq", "r | s"], ["x", "y"]),
    ),
    ("pairs of the same column", "a.csv", PLAIN, {"text": ["text", "text"]}, Rows(["ä | ä", "好 | 好"], ["x", "y"])),
    (
        "blank by spaces of all kinds",
        "a.csv",
        "text,label\n\u3000\u00a0\u2003,x\nb,y\n",
        {},
        "data.train: the text is empty in 1 row: a.csv:1",
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "data", "expected"), [case[1:] for case in ROWS], ids=[case[0] for case in ROWS]
)
def test_rows_and_columns(name, content, data, expected):
    check(answer(name, content, **data), expected)
