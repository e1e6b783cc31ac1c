"""JSON that is nested deeply, malformed, or holds what no text is: read just so, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hostile_data import Rows, answer, check
from hostile_data import alone as alone

TWO = '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'
JSON: list[tuple[str, str, str, Any]] = [
    ("nested 100,000 deep", "a.json", "[" * 100_000, ["a.json: not readable as JSON", "nested too deeply"]),
    (
        "nested 100,000 deep in a line",
        "a.jsonl",
        TWO + '{"text": ' + "[" * 100_000 + "\n",
        ["a.jsonl: not readable as JSON: line 3: ", "nested too deeply"],
    ),
    ("objects nested 100,000 deep", "a.jsonl", '{"a":' * 100_000, ["line 1: ", "nested too deeply"]),
    (
        "nested 500 deep",
        "a.jsonl",
        TWO.replace('"a"', "[" * 500 + "]" * 500),
        Rows(["[" * 500 + "]" * 500, "b"], ["x", "y"]),
    ),
    (
        "number of 5,000 digits",
        "a.jsonl",
        TWO + f'{{"text": {"9" * 5000}, "label": "x"}}',
        ["a.jsonl: not readable as JSON: line 3: ", "a number of 5000 digits"],
    ),
    (
        "number of 5,000 digits in a list",
        "a.json",
        f'[{{"text": {"9" * 5000}, "label": "x"}}]',
        ["a.json: not readable as JSON", "a number of 5000 digits"],
    ),
    ("number of 4,000 digits", "a.jsonl", TWO.replace('"a"', "9" * 4000), Rows(["9" * 4000, "b"], ["x", "y"])),
    ("no number as a label", "a.jsonl", TWO.replace('"x"', "NaN"), "the label is missing in 1 row: a.jsonl:1"),
    ("no number as a text", "a.jsonl", TWO.replace('"a"', "NaN"), "the text is empty in 1 row: a.jsonl:1"),
    (
        "key twice",
        "a.jsonl",
        TWO + '{"text": "a", "text": "b", "label": "x"}\n',
        ["line 3: ", "the key 'text' stands twice"],
    ),
    ("key twice in a list", "a.json", '[{"text": "a", "label": "x", "label": "y"}]', "the key 'label' stands twice"),
    (
        "key that is half a character",
        "a.jsonl",
        TWO.replace('"label": "y"', '"label": "y", "\\ud800": 1'),
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "key like an attribute",
        "a.jsonl",
        TWO.replace("{", '{"__proto__": {"a": 1}, "constructor": 2, '),
        Rows(["a", "b"], ["x", "y"]),
    ),
    (
        "half a character",
        "a.jsonl",
        TWO.replace('"a"', r'"a\udc00\ud800b"'),
        Rows(["a\ufffd\ufffdb", "b"], ["x", "y"]),
    ),
    ("half a character as a label", "a.jsonl", TWO.replace('"x"', r'"\ud800"'), Rows(["a", "b"], ["\ufffd", "y"])),
    (
        "line that is no object",
        "a.jsonl",
        TWO + "3\n",
        "a.jsonl: not readable as JSON: line 3: found 3; expected an object",
    ),
    ("line that is null", "a.jsonl", "null\n" + TWO, "line 1: found null; expected an object"),
    ("item that is no object", "a.json", '[{"text": "a", "label": "x"}, [1]]', "item 2 is [1]; expected an object"),
    (
        "object over several lines",
        "a.json",
        '{\n "text": "a",\n "label": "x"\n}\n',
        ["a.json: not readable as JSON: line 1: "],
    ),
    ("comment", "a.jsonl", "// x\n" + TWO, "a.jsonl: not readable as JSON: line 1: Expecting value"),
    (
        "Python instead of JSON",
        "a.jsonl",
        "{'text': __import__('os').mkdir('HARMED')}\n",
        "line 1: Expecting property name enclosed in double quotes",
    ),
    ("control character in a string", "a.jsonl", TWO.replace('"a"', '"\x1b[2J"'), "line 1: Invalid control character"),
    (
        "object for a text",
        "a.jsonl",
        TWO.replace('"a"', '{"$ref": "#", "k": [null]}'),
        Rows(['{"$ref": "#", "k": [null]}', "b"], ["x", "y"]),
    ),
    (
        "100,000 keys",
        "a.jsonl",
        TWO + "{" + ", ".join(f'"k{i}": {i}' for i in range(100_000)) + "}\n",
        "the text is empty in 1 row: a.jsonl:3",
    ),
    (
        "100,000 keys, none of them ours",
        "a.jsonl",
        "{" + ", ".join(f'"k{i}": {i}' for i in range(100_000)) + "}\n",
        ["there is no column 'text'", "and 99980 more"],
    ),
    ("empty objects", "a.jsonl", "{}\n{}\n", "a.jsonl: there is no column 'text'"),
]


@pytest.mark.parametrize(("name", "content", "expected"), [case[1:] for case in JSON], ids=[case[0] for case in JSON])
def test_json(name, content, expected):
    check(answer(name, content), expected)
