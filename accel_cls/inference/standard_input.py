"""Texts on standard input, one a line, as they come; in which encoding, their bytes tell."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from accel_cls.data.encoding import are_mixed, is_wide, judge, marked_encoding
from accel_cls.errors import UserError

_SAMPLE = 1 << 16  # bytes of what follows a line that is not UTF-8, by whose letters the encoding is told
_PLACE = "standard input"


def read_lines(stream: BinaryIO, stated: str | None, tell: Callable[[str], None]) -> Iterator[str]:
    """The lines of a stream, without their ends: UTF-8 as they come, else what a mark or their letters tell.

    Args:
        stream: bytes; what is not UTF-8 is read ahead by 64 kB.
        stated: the encoding that the user states; None finds out.
        tell: takes a note where it is not UTF-8.

    Raises:
        UserError: for a line that is not what is stated, or could be several encodings.
    """
    first = stream.readline()
    lines = chain([first], iter(stream.readline, b""))
    marked = marked_encoding(first[:4])
    if stated is not None:
        with_mark = "utf-8-sig" if codecs.lookup(stated).name == "utf-8" else stated
        return _decoded(lines, with_mark, f"is not {stated}, as --encoding says; correct it, or leave it out")
    if marked == "utf-8-sig":
        return _utf_8(chain([first[3:]], iter(stream.readline, b"")), tell)
    if marked is not None:
        tell(f"{_PLACE}: read as {marked.upper()}, by its byte-order mark")
        return _decoded(lines, marked, f"is not {marked.upper()}, as its byte-order mark says")
    if is_wide(first[:4]):
        raise UserError(
            f"{_PLACE}: looks like UTF-16 or UTF-32 without a byte-order mark; say which, such as --encoding utf-16-le"
        )
    return _utf_8(lines, tell)


def _utf_8(lines: Iterator[bytes], tell: Callable[[str], None]) -> Iterator[str]:
    """Lines of UTF-8, up to the first that is none: from there on what its letters tell."""
    letters = None  # the first line that is not ASCII
    for number, line in enumerate(filter(None, lines), start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            sample = _sample(line, lines)
            encoding = _told_by_letters(number, sample, letters)
            tell(f"{_PLACE}: not UTF-8 (line {number}), read as {'GB18030' if encoding == 'gb18030' else encoding}")
            other = f"is not {encoding}, as line {number} is; convert the texts to UTF-8, or give --encoding"
            yield from _decoded(chain(sample, lines), encoding, other, number)
            return
        if letters is None and not line.isascii():
            letters = number


def _sample(line: bytes, lines: Iterator[bytes]) -> list[bytes]:
    """This line, and those that follow it, as far as a sample goes."""
    sample, size = [line], len(line)
    while size < _SAMPLE and (line := next(lines, b"")):
        sample.append(line)
        size += len(line)
    return sample


def _told_by_letters(number: int, sample: list[bytes], letters: int | None) -> str:
    """The encoding of a sample that begins with a line that is not UTF-8.

    Raises:
        UserError: where it is not certain, or lines before were UTF-8, which have been answered by now.
    """
    whole = b"".join(sample)
    convert = "convert the texts to UTF-8"
    if letters is not None or (_decodes(whole, "gb18030") and are_mixed(sample)):
        others = "others are" if letters is None else f"line {letters} is"
        raise UserError(
            f"{_PLACE}: line {number} is not UTF-8, but {others}: two encodings are mixed, or all is in one that "
            f"--encoding can name, such as --encoding gb18030; else {convert}"
        )
    if b"\0" in whole:
        raise UserError(f"{_PLACE}: line {number} is no text: there are NULs in it or behind it")
    judged = judge(whole, lambda name: _decodes(whole, name))
    if judged.encoding is None:
        raise UserError(f"{_PLACE}: line {number} {judged.why}, such as --encoding {judged.likely}, or {convert}")
    return judged.encoding


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(parts: Iterable[bytes], encoding: str, wrong: str, number: int = 1) -> Iterator[str]:
    """The lines of bytes in an encoding, cut anywhere; the first line has this number.

    Raises:
        UserError: for a line that is not in it, in the words of `wrong`.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    begun = ""
    for part in chain(parts, [b""]):
        before = decoder.getstate()
        try:
            begun += decoder.decode(part, final=not part)
        except UnicodeDecodeError as error:
            decoder.setstate(before)  # the object of the error begins with what the state holds
            begun += decoder.decode(part[: max(0, error.start - len(before[0]))])
            number += begun.count("\n")
            raise UserError(f"{_PLACE}: line {number} {wrong}") from error
        *whole, begun = begun.split("\n")
        for line in whole:
            yield line.rstrip("\r")
            number += 1
    if begun:
        yield begun.rstrip("\r")
