"""The one place that opens a data file: its bytes, also where it is packed as .gz or .zip."""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TextIO, cast

import pyarrow as pa

from accel_cls.errors import UserError, listed

TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet")
_PACKED = {".gz": b"\x1f\x8b", ".zip": b"PK"}  # and what such a file begins with
# Files in files: unpacking them is left to the user.
_ARCHIVES = (".gz", ".zip", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".7z", ".rar")
# What was packed may be so many times as large. Reviews and news are 2 to 4 times, a thousand columns of 0 and 1
# beside short texts 60, texts that have 20,000 characters in common 120; a million times the same row 340, a file that
# was made to fill memory 1,030. Up to the size below nobody counts.
_MOST_TIMES = 250
_SMALL = 64 << 20
_CHUNK = 1 << 18
# What files of other kinds have at their beginning, or at a place near it; none of it can begin a text.
_UNPACK = "unpack it"
_EXPORT = "export its table as UTF-8 csv"
_KINDS = (
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh91AY&SY", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"PK\x03\x04", "a zip archive or an Excel workbook", f"{_UNPACK}, or {_EXPORT}"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file", _EXPORT),
    (0, b"SQLite format 3\0", "a SQLite database", _EXPORT),
    (0, b"%PDF-", "a PDF", "give the texts themselves"),
    (0, b"PAR1\x15", "Parquet", "name it so"),
    (0, b"version https://git-lfs.github.com/", "a Git LFS pointer", "fetch the file with git lfs pull"),
)
_OWN_KINDS = {".parquet": "Parquet", ".gz": "a gzip archive", ".zip": "a zip archive or an Excel workbook"}


@dataclass(frozen=True)
class DataFile:
    """A data file: its bytes are those of the file itself, or of the one that is packed in it."""

    path: Path  # on the disk, and in messages
    name: str  # what the content is called, and its ending says how it is written: a.csv, also of a.csv.gz
    notes: tuple[str, ...] = ()  # what the user should know of how it was found
    _entry: zipfile.ZipInfo | None = None  # in a zip

    @classmethod
    def at(cls, path: Path) -> DataFile:
        """The data file at a path.

        Raises:
            UserError: where it is packed and can't be read, or not just one data file is in it.
        """
        ending = path.suffix.lower()
        if ending not in _PACKED:
            return cls(path, path.name)
        try:
            with open(path, "rb") as file:
                _check_kind(f"{path}: is", file.read(512), ending)
            if ending == ".zip":
                return _zipped(path)
        except OSError as error:
            raise UserError(f"{path}: not readable: {error.strerror or error}") from error
        _check_no_archive(path, path.stem)
        return cls(path, path.stem)

    @property
    def ending(self) -> str:
        """That of the content, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def is_packed(self) -> bool:
        """Whether the content has to be unpacked."""
        return self.path.suffix.lower() in _PACKED

    def open(self) -> io.BufferedReader:
        """The content's bytes from the beginning, seekable. What is packed is unpacked as it is read, in memory.

        Reading raises UserError where the archive is damaged, encrypted, or unpacks to far more than data do.
        """
        if not self.is_packed:
            return open(self.path, "rb")
        with ExitStack() as opened, _explained(self.path):
            if self._entry is None:
                size = self.path.stat().st_size
                content: BinaryIO = cast(BinaryIO, opened.enter_context(gzip.open(self.path)))
            else:
                size = min(self._entry.compress_size, self.path.stat().st_size)  # the entry may say anything
                archive = opened.enter_context(zipfile.ZipFile(self.path))
                content = cast(BinaryIO, opened.enter_context(archive.open(self._entry)))
            raw = _Unpacked(self.path, content, max(_SMALL, _MOST_TIMES * size), opened.pop_all())
        return io.BufferedReader(raw, _CHUNK)

    def open_text(self, encoding: str) -> TextIO:
        """The content as a text, with its line ends as they are."""
        return io.TextIOWrapper(self.open(), encoding=encoding, newline="")

    def buffer(self) -> pa.Buffer:
        """The whole content: a memory map, or what was unpacked."""
        if not self.is_packed:
            with pa.memory_map(str(self.path)) as file:
                return file.read_buffer()
        with self.open() as file:
            return pa.py_buffer(file.read())

    def check(self) -> None:
        """Whether the content can be a table, and is whole where it is packed: one pass, of which nothing stays.

        Raises:
            UserError: for an unknown ending, content that its first bytes show to be of another kind, and a damaged
                archive, whose content might else be taken for one in an unknown encoding.
        """
        inside = f"{self.path}: holds {self.name}, which" if self.is_packed else f"{self.path}:"
        if self.ending not in TABLES:
            expected = f"expected one of {', '.join(TABLES)}"
            if self.is_packed:
                raise UserError(f"{inside} does not end as a table does; {expected}, before {self.path.suffix}")
            raise UserError(f"{inside} unknown ending {self.ending!r}; {expected}, or one of these in .gz or .zip")
        with self.open() as file:
            _check_kind(f"{inside} is", file.read(512), self.ending)
            while self.is_packed and file.read(_CHUNK):
                pass


def ending_of(path: Path) -> str:
    """What a data file's name ends in, as .csv or .csv.gz; nothing for other files."""
    ending = "".join(path.suffixes[-2:] if path.suffix.lower() in _PACKED else path.suffixes[-1:])
    return ending if ending.lower().startswith((*TABLES, ".zip")) else ""


def stem_of(path: Path) -> str:
    """A data file's name without what says how it is written and packed: reviews, of reviews.csv.gz or reviews.zip."""
    name = PurePosixPath(path.stem if path.suffix.lower() in _PACKED else path.name)
    return name.stem if name.suffix.lower() in TABLES else name.name


class _Unpacked(io.RawIOBase):
    """What is unpacked of an archive as it is read; never more than `most` bytes."""

    def __init__(self, path: Path, content: BinaryIO, most: int, opened: ExitStack):
        self._path, self._content, self._most, self._opened = path, content, most, opened

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _explained(self._path):
            part = self._content.read(len(buffer))
        if self._content.tell() > self._most:
            raise UserError(
                f"{self._path}: unpacks to more than {self._most:,} bytes, {_MOST_TIMES} times its size, as no data "
                "do; unpack it, and give the data file itself if it is one"
            )
        buffer[: len(part)] = part
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _explained(self._path):
            return self._content.seek(offset, whence)

    def close(self) -> None:
        self._opened.close()
        super().close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Tell of an archive that can't be unpacked."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:  # a method, or a version of the format
        raise UserError(f"{path}: is packed in a way that can't be read ({error}); unpack it") from error
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, ValueError, struct.error) as error:
        # A number is the disk's, but for a place that no file has.
        if isinstance(error, UserError) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise
        raise UserError(f"{path}: the archive is damaged ({error}); pack it anew, or download it again") from error


def _zipped(path: Path) -> DataFile:
    """The one data file in a zip; others are told in a note."""
    with _explained(path), zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if _counts(entry.filename)]
    names = [entry.filename for entry in entries]
    found = [entry for entry in entries if PurePosixPath(entry.filename).suffix.lower() in TABLES]
    if len(found) > 1:
        raise UserError(
            f"{path}: holds {len(found)} data files ({listed([entry.filename for entry in found])}), expected one; "
            "unpack it, and name those that are meant"
        )
    if not found:
        if len(names) == 1:
            _check_no_archive(path, names[0])
        raise UserError(
            f"{path}: holds no data file{f', only {listed(names)}' if names else ''}; expected one that ends in "
            f"{', '.join(TABLES)}"
        )
    (entry,) = found
    if entry.flag_bits & 0x1:
        raise UserError(f"{path}: {entry.filename} in it is encrypted; unpack it with its password")
    others = listed([name for name in names if name != entry.filename])
    notes = (f"{path.name}: {entry.filename} is read, not {others}",) if others else ()
    return DataFile(path, PurePosixPath(entry.filename).name, notes, entry)


def _counts(name: str) -> bool:
    """Whether an entry is somebody's file: no folder, and none of macOS' .DS_Store and __MACOSX/ with its ._ files."""
    parts = PurePosixPath(name).parts
    return name[-1:] != "/" and not any(part == "__MACOSX" or part[0] == "." for part in parts if part != "..")


def _check_no_archive(path: Path, name: str) -> None:
    if PurePosixPath(name).suffix.lower() in _ARCHIVES:
        raise UserError(f"{path}: holds another archive, {name}; unpack it, and name the data files in it")


def _check_kind(what: str, start: bytes, ending: str) -> None:
    """Refuse content whose first bytes show it to be of another kind than its ending says."""
    for at, mark, kind, advice in _KINDS:
        if start[at:].startswith(mark) and kind != _OWN_KINDS.get(ending):
            raise UserError(f"{what} {kind}, not {ending[1:]}; {advice}")
    if not start.startswith(_PACKED.get(ending, b"")):
        raise UserError(f"{what} no {ending[1:]} archive; name it as what it is, such as reviews.csv")
