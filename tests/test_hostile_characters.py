"""Odd texts and labels are kept as they are; odd encodings are read just so, or refused with a reason."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hostile_data import PLAIN, READ, Content, Rows, answer, check
from hostile_data import alone as alone

# Texts that are kept as they are

TEXTS = {
    "NUL": "a\0b",
    "NUL only": "\0",
    "all C0 controls but line ends": "".join(map(chr, range(1, 32))).replace("\n", "").replace("\r", "") + "x",
    "DEL and C1 controls": "a\x7f\x80\x9fb",
    "terminal escape": "\x1b[2J\x1b]0;owned\x07",
    "right to left": "مرحبا שלום",
    "bidirectional override": "a\u202eb\u2066c\u2069d",
    "combining characters": "e\u0301 Z\u0351\u036b\u0343\u036a",
    "a thousand marks on a letter": "a" + "\u0301" * 1000,
    "composed and decomposed stay apart": "é e\u0301",
    "zero width": "a\u200bb\u200dc\ufeffd",
    "emoji of the first plane": "☺️ ✈",
    "emoji of plane 1": "😀👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "characters of planes 2, 3, 14, 15, 16": "\U00020000\U0002fa1d\U00030000\U000e0001\U000f0000\U0010fffd",
    "non-characters": "a\ufffe\uffff\ufdd0b",
    "replacement character": "a\ufffdb",
    "Hangul, Thai, Devanagari, Mongolian": "한국어 ไทย हिन्दी ᠮᠣᠩᠭᠣᠯ",
    "formula": '=HYPERLINK("http://example.org","a")',
    "formula of DDE": "=cmd|' /C calc'!A0",
    "formula by at sign": "@SUM(1+1)*cmd",
    "formula by plus": "+1+1",
    "formula by minus": "-2+3",
    "formula behind a tab in quotes": "x\t=1",
    "HTML": "<script>alert(1)</script>",
    "rich markup": "[bold red]x[/bold red][link=http://x]",
    "template": "{{7*7}} ${jndi:ldap://x} %s {0} $(touch HARMED) `touch HARMED`",
    "SQL": "'); DROP TABLE x;--",
    "path": "../../../../etc/passwd",
    "special tokens": "[CLS] a [SEP] <s> </s> [PAD]",
    "line ends within": "a\r\nb\nc\rd",
    "quotes": '"a" ""b"" \'c',
    "spaces around": "  a\t",
    "10 MB": "好" * 3_500_000,
    "one word of a million letters": "a" * 1_000_000,
}


def _csv(text: str) -> str:
    return 'text,label\n"{}",x\nb,y\n'.format(text.replace('"', '""'))


def _json_lines(text: str) -> str:
    return "".join(json.dumps({"text": cell, "label": label}) + "\n" for cell, label in ((text, "x"), ("b", "y")))


def _parquet(text: str) -> Callable[[Path], Any]:
    return lambda path: pa.parquet.write_table(pa.table({"text": [text, "b"], "label": ["x", "y"]}), path)


FORMS: list[tuple[str, Callable[[str], Content]]] = [
    ("a.csv", _csv),
    ("a.jsonl", _json_lines),
    ("a.parquet", _parquet),
]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("file", "form"), FORMS, ids=[file for file, _ in FORMS])
def test_text_is_kept(file, form, name):
    check(answer(file, form(TEXTS[name])), Rows([TEXTS[name], "b"], ["x", "y"]))


@pytest.mark.parametrize("name", [name for name in TEXTS if not set("\t\r\n") & set(TEXTS[name])])
def test_text_is_kept_in_tab_separated_files(name):
    check(answer("a.tsv", f"text\tlabel\n{TEXTS[name]}\tx\nb\ty\n"), Rows([TEXTS[name], "b"], ["x", "y"]))


# Labels

LABELS = {
    "terminal escape": "\x1b[31mred\x1b[0m",
    "NUL": "a\0b",
    "two lines": "a\nb",
    "formula": "=1+1",
    "bidirectional override": "a\u202eb",
    "emoji": "👍🏽",
    "10,000 letters": "a" * 10_000,
    "Markdown table": "a|b\n|---|",
    "path": "../../x",
    "digits of other scripts": "١٢",
    "superscript digits": "²",
    "hexadecimal": "0x10",
    "infinity": "inf",
    "not a number": "nan",
}


@pytest.mark.parametrize("name", LABELS)
def test_label_is_kept(name):
    label = LABELS[name]
    found = answer(
        "a.jsonl", "".join(json.dumps({"text": t, "label": v}) + "\n" for t, v in (("a", label), ("b", "y")))
    )
    check(found, Rows(["a", "b"], [label, "y"]))


# Encodings

AS_UTF_32 = Rows(READ.texts, READ.labels, ("a.csv: read as UTF-32, by its byte-order mark",))

ENCODINGS: list[tuple[str, bytes, Any]] = [
    ("UTF-32 with mark, little end", codecs.BOM_UTF32_LE + PLAIN.encode("utf-32-le"), AS_UTF_32),
    ("UTF-32 with mark, big end", codecs.BOM_UTF32_BE + PLAIN.encode("utf-32-be"), AS_UTF_32),
    ("UTF-32 without mark", PLAIN.encode("utf-32-le"), ["a.csv: ", "UTF-16 or UTF-32 without a byte-order mark"]),
    ("UTF-16 without mark, little end", PLAIN.encode("utf-16-le"), "UTF-16 or UTF-32 without a byte-order mark"),
    ("UTF-16 without mark, big end", PLAIN.encode("utf-16-be"), "UTF-16 or UTF-32 without a byte-order mark"),
    (
        "UTF-16 with mark, cut within a character",
        codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le")[:-1],
        ["a.csv: line 3 is not UTF-16, as its byte-order mark says"],
    ),
    (
        "UTF-16 with mark, half a pair",
        codecs.BOM_UTF16_LE + "text,label\na\ud83d,x\nb,y\n".encode("utf-16-le", "surrogatepass"),
        ["a.csv: line 2 is not UTF-16"],
    ),
    (
        "UTF-32 beyond Unicode",
        codecs.BOM_UTF32_LE + PLAIN.encode("utf-32-le") + b"\xff\xff\xff\x7f",
        "line 4 is not UTF-32",
    ),
    (
        "UTF-8 mark before what is none",
        codecs.BOM_UTF8 + b"text,label\na,x\n\xff\xfe,y\n",
        "a.csv: line 3 is not UTF-8, as",
    ),
    (
        "UTF-8 mark before GBK",
        codecs.BOM_UTF8 + "text,label\na,x\n好,y\n".encode("gbk"),
        "a.csv: line 3 is not UTF-8, as",
    ),
    ("two UTF-8 marks", codecs.BOM_UTF8 * 2 + PLAIN.encode(), READ),
    (
        "UTF-8 and GBK mixed",
        "text,label\n好吃,x\n".encode() + "难吃,y\n".encode("gbk"),
        "a.csv: line 3 is not UTF-8, but others are: two encodings are mixed",
    ),
    ("UTF-8 and Latin-1 mixed", "text,label\n好,x\n".encode() + "é,y\n".encode("latin-1"), "a.csv: line 3 is neither"),
    ("surrogates in UTF-8", b"text,label\na\xed\xa0\x80b,x\nc,y\n", "a.csv: line 2 is neither"),
    (
        "overlong NUL in UTF-8",
        b"text,label\na\xc0\x80b,x\nc,y\n",
        Rows(["a纮b", "c"], ["x", "y"], ("a.csv: not UTF-8 (line 2), read as GB18030",)),
    ),
    ("beyond Unicode in UTF-8", b"text,label\na\xf7\xbf\xbf\xbfb,x\n\xe5\xa5\xbd,y\n", "a.csv: line 2 is neither"),
    ("GBK with NUL", "text,label\n好\0,x\n吃,y\n".encode("gbk"), ["a.csv: line 2 is neither"]),
    ("UTF-16 of Chinese without mark", "好,吃\n难,吃\n".encode("utf-16-le"), "a.csv: line 2 is neither"),
    ("only a UTF-8 mark", codecs.BOM_UTF8, "a.csv: there is no column 'text'"),
    ("only a UTF-16 mark", codecs.BOM_UTF16_BE, "a.csv: there is no column 'text'"),
    ("one byte", b"\xff", "a.csv: line 1 is neither"),
    ("one character of GBK", b"\x81\x80", "a.csv: there is no column 'text'"),
    ("end that looks like ours", b'label,text\nx,"a\0end"\ny,\0end', Rows(["a\0end", "\0end"], ["x", "y"])),
    ("CR only", b"text,label\ra,x\rb,y\r", Rows(["a", "b"], ["x", "y"])),
    ("line ends mixed", b"text,label\ra,x\r\nb,y\n\n\rc,x", Rows(["a", "b", "c"], ["x", "y", "x"])),
]


@pytest.mark.parametrize(
    ("content", "expected"), [case[1:] for case in ENCODINGS], ids=[case[0] for case in ENCODINGS]
)
def test_encoding(content, expected):
    check(answer("a.csv", content), expected)
