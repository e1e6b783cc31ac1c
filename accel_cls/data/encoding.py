"""The encoding of a text file, told by its bytes."""

from __future__ import annotations

import codecs
from pathlib import Path

from accel_cls.errors import UserError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Which of the first four bytes are not 0 in a text of UTF-16 or UTF-32 that begins with ASCII.
_WIDE = (
    [True, False, True, False],
    [False, True, False, True],
    [True, False, False, False],
    [False, False, False, True],
)


def detect_encoding(path: Path, notes: list[str]) -> str:
    """The encoding of a text file: by its byte-order mark, else UTF-8, else GB18030 with a note.

    UTF-8 before GB18030, which decodes nearly any bytes. It is a superset of GBK and GB2312.
    """
    with open(path, "rb") as file:
        start = file.read(4)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            name = encoding.removesuffix("-sig").upper()
            failure = _undecodable(path, name)
            if failure is not None:
                raise UserError(
                    f"{path}: line {failure} is not {name}, as its byte-order mark says; convert the file to UTF-8"
                )
            if encoding != "utf-8-sig":
                notes.append(f"{path.name}: read as {name}, by its byte-order mark")
            return encoding
    if [bool(byte) for byte in start] in _WIDE:
        raise UserError(
            f"{path}: looks like UTF-16 or UTF-32 without a byte-order mark; convert the file to UTF-8, for example "
            "with iconv -f UTF-16LE -t UTF-8"
        )
    failure = _undecodable(path, "utf-8")
    if failure is None:
        return "utf-8"
    if _undecodable(path, "gb18030") is None and not _holds_nul(path):
        if _is_mixed(path):
            raise UserError(
                f"{path}: line {failure} is not UTF-8, but others are: two encodings are mixed in it; convert its "
                "parts to UTF-8 one by one"
            )
        notes.append(f"{path.name}: not UTF-8 (line {failure}), read as GB18030")
        return "gb18030"
    raise UserError(
        f"{path}: line {failure} is neither UTF-8 nor GB18030; convert the file to UTF-8, for example with "
        f"iconv -f ENCODING -t UTF-8"
    )


def _is_mixed(path: Path) -> bool:
    """Whether one in twenty of the lines that are not ASCII is UTF-8 from U+0800 on, as few of GB18030 are."""
    others = utf_8 = 0
    with open(path, "rb") as file:
        for line in file:
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


def _holds_nul(path: Path) -> bool:
    with open(path, "rb") as file:
        return any(b"\0" in chunk for chunk in iter(lambda: file.read(1 << 20), b""))


def _undecodable(path: Path, encoding: str) -> int | None:
    """The line, from 1, of the first bytes that are not in this encoding; None where all are."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
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
