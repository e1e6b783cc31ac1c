"""What a data file holds, found out by looking: its separator, its header, and which columns are text and label."""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from accel_cls.data.byte_order_marks import unmarked
from accel_cls.data.cells import text_of_cell
from accel_cls.data.data_file import DataFile
from accel_cls.data.encoding import detect_encoding
from accel_cls.data.files import hint
from accel_cls.data.reading import read_file
from accel_cls.data.separated import SEPARATORS, FileFormat, Quote, is_quoted, separated_records
from accel_cls.errors import UserError
from accel_cls.recipe.canonical import canonical_label

_SURE = ("utf-8", "utf-8-sig", "utf-16", "utf-32")  # by a byte-order mark, or since nothing else is UTF-8
_SAMPLE = 200  # records by which separator and header are told
MOST_CLASSES = 1000
# What columns of labels and of texts are usually called, in lower case.
LABEL_NAMES = re.compile(
    r"labels?|class(es)?|categor(y|ies)|target|sentiment|polarity|intent|topic|tag|queue|y|gold|"
    r"标签|标注|类别|分类|类目|情感|情感极性|意图"
)
_LIKELY_NAMES = re.compile(
    r"ratings?|stars?|scores?|grade|emotion|mood|priority|department|spam|toxic|toxicity|stance|genre|type|评分|星级|情绪"
)
OTHER_NAMES = re.compile(  # that have few values, too, and are hardly ever what is to be told from a text
    r"split|fold|source|lang|language|date|day|month|year|time|country|city|region|status|gender|sex|ids?|users?|"
    r"verified|version|channel|platform|来源|语言|日期|时间|城市|性别|状态"
)
_TEXT_NAMES = re.compile(
    r"texts?|reviews?|contents?|sentence|messages?|body|comments?|title|headline|tweet|description|question|"
    r"utterance|document|abstract|input|文本|评论|内容|评价|标题|句子|正文|摘要|问题"
)
_PAIR_NAMES = (
    ("premise", "hypothesis"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "title"),
    ("question", "answer"),
    ("question", "passage"),
    ("context", "response"),
)
_NUMBER = re.compile(r"[-+]?[0-9][0-9,.]*")
_CODE = re.compile(r"([A-Za-z]{0,3}|label|class|cat)[-_. ]?[0-9]+|[A-Za-z]{1,3}", re.I)
_NO_TEXT = re.compile(r"[-+0-9.,:/T\sZ]*|[0-9a-fA-F-]{16,}|https?://\S+")  # numbers, dates, ids, links


@dataclass(frozen=True)
class Table:
    """A data file, read whole."""

    path: Path
    columns: dict[str, list[str]]  # cells by name; "" where there is none
    header: list[str] | None  # names that we gave, where the file has no header line
    separator: str | None  # where it is not what the file's ending says
    quote: Quote | None  # where it is not what a reader finds by itself
    encoding: str | None  # where the file's bytes do not tell it for sure, or somebody has said it
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True)
class Choice:
    """A column, or two for text pairs, chosen for a role."""

    columns: tuple[str, ...]
    why: str
    others: tuple[tuple[str, ...], ...]  # what it may be as well, the likelier first
    codes: str | None = None  # beside a label column of names: the column of their codes


def look_at(path: Path, encoding: str | None = None) -> Table:
    """Read a data file whose form nobody has told, but its encoding perhaps.

    Raises:
        UserError: where it can't be read, or has no two columns, or no rows.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such data file{hint(path)}")
    file = DataFile.at(path)
    file.check()
    notes: list[str] = []
    header = separator = quote = None
    if file.ending != ".parquet":
        encoding = detect_encoding(file, notes, encoding)
    if file.ending in SEPARATORS:
        assert encoding is not None
        separator, quote, records = _sniff(file, encoding)
        header = None if _is_header(records) else [f"column{i + 1}" for i in range(len(records[0]))]
        if header is not None:
            notes.append(f"{path.name}: its first line is taken for data, not for a header")
    written = FileFormat(None if header is None else tuple(header), separator, encoding, quote)
    table = read_file(path, None, written, notes)
    if not len(table):
        raise UserError(f"{path}: there are no rows in it")
    columns = {name: [unmarked(text_of_cell(c)) for c in table[name][:]] for name in table.column_names}
    if len(columns) < 2:
        raise UserError(f"{path}: found one column only, {next(iter(columns))!r}; expected texts and labels")
    if header is not None and len(header) == 2:
        label = choose_label(columns).columns[0]
        header = ["label" if name == label else "text" for name in header]
        columns = dict(zip(header, columns.values(), strict=True))
    usual = SEPARATORS.get(file.ending)
    told = None if encoding in _SURE else encoding
    return Table(path, columns, header, None if separator == usual else separator, quote, told, tuple(notes))


def _sniff(file: DataFile, encoding: str) -> tuple[str, Quote | None, list[list[str]]]:
    """The separator that cuts the first records into equally many cells, quotes that nobody expects, those records."""
    usual = SEPARATORS[file.ending]
    for separator in dict.fromkeys((usual, ",", ";", "\t", "|")):
        with file.open_text(encoding) as content:
            quote: Quote | None = "single" if is_quoted(content, separator, "single") else None
        try:
            records = _first_records(file, encoding, separator, quote)
        except csv.Error:
            continue
        if not records:
            raise UserError(f"{file.path}: the file is empty")
        if len(records[0]) > 1 and len({len(record) for record in records}) == 1:
            return separator, quote, records
    records = _first_records(file, encoding, usual, None)
    if len(records[0]) > 1:
        return usual, None, records  # a ragged row: reading names it
    raise UserError(
        f"{file.path}: its lines are not cut into two or more cells by a comma, semicolon, tab or |; is it a table "
        "with a text and a label column?"
    )


def _first_records(file: DataFile, encoding: str, separator: str, quote: Quote | None) -> list[list[str]]:
    with file.open_text(encoding) as content:
        quote = FileFormat(quote=quote).quote_of(file, content, separator)
        return list(itertools.islice(separated_records(file, content, separator, quote), _SAMPLE))


def _is_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names columns. The columns whose values repeat tell: is its cell one of them?"""
    first = records[0]
    rest = [record for record in records[1:] if len(record) == len(first)]
    if any(_NUMBER.fullmatch(cell) for cell in first):
        return False
    repeating = [
        (name, below)
        for at, name in enumerate(first)
        if name.strip() and 2 <= len(below := Counter(record[at] for record in rest)) <= max(2, len(rest) // 2)
    ]
    if repeating:
        return not any(below[name] for name, below in repeating)  # "positive" above other "positive"s
    return all(len(cell) <= 40 for cell in first)


def choose_label(columns: dict[str, list[str]]) -> Choice:
    """The column that holds the classes: few values, each many times, and a name that says so.

    Raises:
        UserError: where no column can be one.
    """
    scores: dict[str, float] = {}
    for name, cells in columns.items():
        values = Counter(canonical_label(cell) for cell in cells if cell.strip())
        longest = max(map(len, values), default=0)
        decimals = sum(bool(re.fullmatch(r"[-+]?[0-9]*\.[0-9]+", value)) for value in values)
        is_possible = 2 <= len(values) <= min(MOST_CLASSES, max(2, len(cells) // 2)) and longest <= 80
        if not is_possible or decimals > len(values) / 2:
            continue
        # A class is met often: 1 for two classes among thousands of rows, 0 for one row each.
        often = 1 - math.log(len(values)) / math.log(max(3, len(cells)))
        scores[name] = often + 2 * named_like(name, LABEL_NAMES) + 1.5 * named_like(name, _LIKELY_NAMES)
        scores[name] -= 2 * named_like(name, _TEXT_NAMES) + 2 * named_like(name, OTHER_NAMES)
    if not scores:
        raise UserError(
            "no column looks like labels: expected one with 2 to 1000 different values, each of them in several rows. "
            "Name it with --label COLUMN"
        )
    ranked = sorted(scores, key=lambda name: -scores[name])
    best, codes = _names_of(columns, ranked[0], list(scores))
    likely = [name for name in ranked[1:] if scores[name] > scores[ranked[0]] - 1]
    others = tuple((name,) for name in likely if name not in (best, codes))
    count = len({canonical_label(cell) for cell in columns[best] if cell.strip()})
    why = f"{count} different values in {len(columns[best]):,} rows"
    if codes is not None:
        why += f"; one to one the names of the codes in {codes!r}"
    return Choice((best,), why, others, codes)


def _names_of(columns: dict[str, list[str]], label: str, possible: Sequence[str]) -> tuple[str, str | None]:
    """The column of names and that of codes, where label columns have one of each: each code beside one name.

    The label column itself, and None, where it has no such companion. One whose name says that it is something else,
    such as a source, is none: all of a class may come from one.
    """

    def values(name: str) -> list[str]:
        return [canonical_label(cell) for cell in columns[name]]

    own = values(label)
    for name in possible:
        if name == label or named_like(name, OTHER_NAMES) == 1 or named_like(name, _TEXT_NAMES) == 1:
            continue
        pairs = {*zip(own, found := values(name), strict=True)}
        is_one_to_one = len(pairs) == len({*own}) == len({*found})
        if not is_one_to_one or any(bool(one) != bool(other) for one, other in pairs):
            continue
        by_words = sorted((label, name), key=lambda one: _wordiness({*columns[one]}))
        if _wordiness({*columns[by_words[0]]}) < _wordiness({*columns[by_words[1]]}):
            return by_words[1], by_words[0]
    return label, None


def _wordiness(values: Set[str]) -> int:
    """0 for numbers, 1 for short codes such as A01 and LABEL_3, 2 for names."""
    filled = [value.strip() for value in values if value.strip()]
    if all(_NUMBER.fullmatch(value) for value in filled):
        return 0
    return 1 if all(_CODE.fullmatch(value) for value in filled) else 2


def choose_text(columns: dict[str, list[str]], labels: Sequence[str]) -> Choice:
    """The column, or the pair of columns, that holds the texts: long, varied, and a name that says so.

    Raises:
        UserError: where no column can be one.
    """
    scores: dict[str, float] = {}
    length: dict[str, float] = {}
    for name, cells in columns.items():
        filled = [cell for cell in cells if cell.strip()]
        if name in labels or not filled:
            continue
        if sum(bool(_NO_TEXT.fullmatch(cell)) for cell in filled) > len(filled) / 2:
            continue
        length[name] = sum(map(len, filled)) / len(filled)
        varied = len(set(filled)) / len(filled)
        scores[name] = math.log2(1 + length[name]) / 2 + 2 * varied + 2 * named_like(name, _TEXT_NAMES)
    if not scores:
        raise UserError("no column looks like texts: expected one with words. Name it with --text COLUMN")
    ranked = sorted(scores, key=lambda name: -scores[name])
    pair = _pair(ranked)
    others: list[tuple[str, ...]] = [(name,) for name in ranked if scores[name] > scores[ranked[0]] - 1.5]
    if pair is not None:
        return Choice(pair, "two columns whose names belong together: text pairs", ())
    best = (ranked[0],)
    others = [other for other in others if other != best]
    if others:
        first, second = sorted((ranked[0], others[0][0]), key=list(columns).index)
        others.append((first, second))
    return Choice(best, f"{length[ranked[0]]:.0f} characters on average", tuple(others))


def _pair(names: Sequence[str]) -> tuple[str, str] | None:
    """Two of the names that belong together: question1 and question2, text_a and text_b, premise and hypothesis."""
    known = {name.casefold(): name for name in names}
    for first, second in _PAIR_NAMES:
        if first in known and second in known:
            return known[first], known[second]
    for low, name in known.items():
        stem = re.fullmatch(r"(.+?)[_ ]?(1|a|一)", low)
        if stem:
            twin = {"1": "2", "a": "b", "一": "二"}[stem[2]]
            other = known.get(low[: -len(stem[2])] + twin)
            if other is not None:
                return name, other
    return None


def is_label(name: str) -> bool:
    """Whether a column is called like labels, or like what is often told from texts, and like nothing else."""
    return named_like(name, LABEL_NAMES) == 1 or named_like(name, _LIKELY_NAMES) == 1


def named_like(name: str, names: re.Pattern[str]) -> float:
    """1 where a column's name is one of the names, 0.5 where one of its words is, else 0."""
    low = name.strip().casefold()
    if names.fullmatch(low):
        return 1.0
    return 0.5 if any(names.fullmatch(word) for word in re.split(r"[\W_]+", low)) else 0.0
