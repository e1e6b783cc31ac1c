"""The encoding of a text file, told by its bytes."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from charset_normalizer import from_bytes

from accel_cls.data.data_file import DataFile
from accel_cls.errors import UserError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 16  # bytes by whose letters an encoding is told
# charset_normalizer's measure of what is odd in a reading. Of 480 samples of one to fifty Chinese reviews and titles
# in GBK the right one was always below it; German, French and Polish in their own encodings are at 0 to 0.075.
_MOST_CHAOS = 0.1
_MOST_READINGS, _LEAST_LETTERS = 8, 20  # more readings than so many, of fewer bytes that are not ASCII, tell nothing
_SHOWN = 4  # readings in a message
_GB18030 = {"gb18030", "gbk", "gb2312"}
_USUAL = ("cp1252", "latin_1", "cp1250", "cp1251", "big5", "cp932", "shift_jis", "euc_jp", "euc_kr")
# Which of the first four bytes are not 0 in a text of UTF-16 or UTF-32 that begins with ASCII.
_WIDE = (
    [True, False, True, False],
    [False, True, False, True],
    [True, False, False, False],
    [False, False, False, True],
)


def detect_encoding(file: DataFile, notes: list[str], stated: str | None = None) -> str:
    """The encoding of a text file: what the user states, else by its byte-order mark, else UTF-8, else by its letters.

    UTF-8 before GB18030, which decodes nearly any bytes; it is a superset of GBK and GB2312. Anything but UTF-8 is
    told in a note.

    Args:
        file: the file.
        notes: takes a line where it is not UTF-8.
        stated: the recipe's data.encoding.

    Raises:
        UserError: where it is not what it is said to be, or could be several.
    """
    if stated is not None:
        failure = _undecodable(file, stated)
        if failure is not None:
            raise UserError(
                f"{file.path}: line {failure} is not {stated}, as data.encoding (or --encoding) says; correct it, or "
                "leave it out"
            )
        return stated
    with file.open() as content:
        start = content.read(4)
    if (encoding := marked_encoding(start)) is not None:
        name = encoding.removesuffix("-sig").upper()
        failure = _undecodable(file, name)
        if failure is not None:
            raise UserError(
                f"{file.path}: line {failure} is not {name}, as its byte-order mark says; convert it to UTF-8"
            )
        if encoding != "utf-8-sig":
            notes.append(f"{file.path.name}: read as {name}, by its byte-order mark")
        return encoding
    if is_wide(start):
        raise UserError(
            f"{file.path}: looks like UTF-16 or UTF-32 without a byte-order mark; say which with data.encoding, such "
            "as utf-16-le"
        )
    failure = _undecodable(file, "utf-8")
    if failure is None:
        return "utf-8"
    if _undecodable(file, "gb18030") is None and _is_mixed(file):
        raise UserError(
            f"{file.path}: line {failure} is not UTF-8, but others are: two encodings are mixed in it; convert its "
            "parts to UTF-8 one by one"
        )
    found = _by_letters(file, failure)
    name = "GB18030" if found == "gb18030" else found
    notes.append(f"{file.path.name}: not UTF-8 (line {failure}), read as {name}")
    return found


def marked_encoding(start: bytes) -> str | None:
    """The encoding that a text's byte-order mark says, of its first four bytes; None where it has none."""
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if start.startswith(mark)), None)


def is_wide(start: bytes) -> bool:
    """Whether a text's first four bytes look like UTF-16 or UTF-32 without a byte-order mark."""
    return [bool(byte) for byte in start] in _WIDE


def _by_letters(file: DataFile, line: int) -> str:
    """The encoding in which a file that is not UTF-8, from this line on, reads as text.

    Raises:
        UserError: where it is none that is known, or could be several.
    """
    if _holds_nul(file):
        raise UserError(f"{file.path}: line {line} is neither UTF-8 nor GB18030, nor any text: there are NULs in it")
    with file.open() as content:
        sample = content.read(_SAMPLE)
    if len(sample) == _SAMPLE:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    judged = judge(sample, lambda name: _undecodable(file, name) is None)
    if judged.encoding is not None:
        return judged.encoding
    raise UserError(
        f"{file.path}: line {line} {judged.why}, such as data.encoding={judged.likely} (accel-cls new or predict: "
        "--encoding), or convert the file to UTF-8"
    )


@dataclass(frozen=True)
class Judgement:
    """What bytes that are not UTF-8 are taken for."""

    encoding: str | None  # None where that is not certain
    why: str = ""  # what is said of a line of them then
    likely: str = "cp1252"  # what it could be


def judge(sample: bytes, decodes: Callable[[str], bool]) -> Judgement:
    """The encoding in which a sample of a text reads as text.

    Args:
        sample: whole lines, not all of them ASCII.
        decodes: whether all of the text is in an encoding, by its name.
    """
    readings = {one.encoding: one for one in from_bytes(sample) if one.chaos <= _MOST_CHAOS}
    names = {name for one in readings.values() for name in (one.encoding, *one.could_be_from_charset)}
    if (names & _GB18030 or not readings) and decodes("gb18030"):
        return Judgement("gb18030")
    readings = {name: one for name, one in readings.items() if name[:4] != "utf_" and decodes(name)}
    letters = sum(byte > 127 for byte in sample)
    if not 1 <= len(readings) <= _MOST_READINGS or letters < _LEAST_LETTERS:
        return Judgement(None, "is neither UTF-8 nor GB18030; say what it is")
    if len(readings) == 1:
        ((name, one),) = readings.items()
        usual = _preferred([name, *one.could_be_from_charset])  # which says the same of the sample
        return Judgement(usual if decodes(usual) else name)
    likely = sorted(readings.values(), key=lambda one: not {*_USUAL} & {one.encoding, *one.could_be_from_charset})
    shown = "; ".join(f"{_names(one)}: {_first_word(str(one))!r}" for one in likely[:_SHOWN])
    return Judgement(None, f"is not UTF-8, and could be several encodings ({shown}); say which", _preferred(names))


def _names(reading: Any) -> str:
    """The encodings in which a sample reads alike, those that are usual first."""
    names = sorted({reading.encoding, *reading.could_be_from_charset}, key=lambda name: (name not in _USUAL, name))
    return " or ".join(names[:2])


def _preferred(names: Iterable[str]) -> str:
    return next((name for name in _USUAL if name in {*names}), sorted(names)[0])


def _first_word(text: str) -> str:
    """The first word that is not ASCII: there readings differ."""
    return next((word for word in text.split() if not word.isascii()), "")[:20]


def _is_mixed(file: DataFile) -> bool:
    with file.open() as content:
        return are_mixed(content)


def are_mixed(lines: Iterable[bytes]) -> bool:
    """Whether one in twenty of the lines that are not ASCII is UTF-8 from U+0800 on, as few of GB18030 are."""
    others = utf_8 = 0
    for line in lines:
        if not line.isascii():
            others += 1
            utf_8 += _is_utf_8(line) and max(line.decode()) >= "\u0800"
    return utf_8 * 20 > others


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _holds_nul(file: DataFile) -> bool:
    with file.open() as content:
        return any(b"\0" in chunk for chunk in iter(lambda: content.read(1 << 20), b""))


def _undecodable(file: DataFile, encoding: str) -> int | None:
    """The line, from 1, of the first bytes that are not in this encoding; None where all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with file.open() as content:
        while chunk := content.read(1 << 20):
            before = decoder.getstate()
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                decoder.setstate(before)  # the object of the error begins with what the state holds
                return line + decoder.decode(chunk[: max(0, error.start - len(before[0]))]).count("\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return line
    return None
