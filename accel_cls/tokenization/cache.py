"""What is made once and found again at the next start: entries in the user's cache folder, by what they are made of.

An entry is a folder of files. It is written beside and renamed, so that it is there whole or not at all; its manifest
has sizes and checksums, so that a disk's fault is no data. Whoever makes one holds its lock: the other processes of a
run, and other runs, wait for it instead of doing the same work on the same cores.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from accel_cls.errors import UserError

_USUAL = 10.0  # GB
_OLD = 24 * 3600  # seconds after which what a run that was ended has left is removed
_BUSY = 600  # seconds after its last use in which an entry stays: its run may just be about to read it
_MANIFEST = "manifest.json"
_OURS = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}\..*")  # an entry; a lock or what is being written


@dataclass(frozen=True)
class Entry:
    """Something that is kept."""

    folder: Path
    checksums: dict[str, str]  # SHA-256 by file name
    from_cache: bool  # it was there before


def cache_folder() -> Path:
    """ACCEL_CLS_CACHE, else `accel_cls` in the user's cache folder. Raises OSError where this user has no home."""
    if own := os.environ.get("ACCEL_CLS_CACHE"):
        return Path(own).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accel_cls"
    except RuntimeError as error:  # a container's user without a name
        raise OSError(0, str(error)) from error


def cache_limit() -> int:
    """The most bytes that entries of a kind take together; 0 keeps none. Raises UserError for what is no number."""
    text = os.environ.get("ACCEL_CLS_CACHE_GB") or str(_USUAL)
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise UserError(
            f"the environment variable ACCEL_CLS_CACHE_GB is {text!r}; expected the GB that token ids may take, and "
            "vocabularies once more, such as 10; 0 keeps neither"
        )
    return int(size * 1e9)


def find_or_make(
    kind: str,
    what: str,
    key: str,
    make: Callable[[Path], None],
    notes: list[str],
    is_sound: Callable[[Path], bool] = lambda entry: True,
) -> Entry | None:
    """An entry, found or made now; None where none is to be kept, or none can be, with a note of why.

    Args:
        kind: the folder of entries of this kind.
        what: what users call one, such as "the vocabulary".
        key: a digest of all that the entry follows from, 32 hexadecimal digits.
        make: writes the entry's files into the folder that it is given.
        notes: takes a line where the disk refuses.
        is_sound: whether an entry that is there holds what `make` could have written; else it is made anew. Checksums
            tell of a faulty disk only: whoever can write here can write those, too.

    Raises:
        UserError: where the limit is no number.
    """
    limit = cache_limit()
    if not limit:
        return None
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        folder = cache_folder() / kind
        folder.mkdir(exist_ok=True)
        path = folder / key
        with _alone(folder / f".{key}.lock"):
            found = _checked(path)
            if found and _is_sound(path, is_sound):
                os.utime(path)  # when it was last used
                return Entry(path, found, from_cache=True)
            made = _write(path, make)
            _prune(folder, limit)
            return Entry(path, made, from_cache=False)
    except OSError as error:
        note = f"{what} can't be kept for the next start: {error}"
        if note not in notes:
            notes.append(note)
        return None


def find(kind: str, key: str, is_sound: Callable[[Path], bool] = lambda entry: True) -> Entry | None:
    """An entry that is kept, or None: for what processes make together, while none of them may hold a lock.

    Args and raises: as `find_or_make`.
    """
    if not cache_limit():
        return None
    try:
        path = cache_folder() / kind / key
    except OSError:  # no home; whoever wants to keep something is told
        return None
    found = _checked(path)
    if not found or not _is_sound(path, is_sound):
        return None
    with suppress(OSError):  # a cache that can only be read
        os.utime(path)
    return Entry(path, found, from_cache=True)


def _checked(entry: Path) -> dict[str, str]:
    """The checksums of an entry's files; none where they are not just as they were written."""
    try:
        written = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        return written if written == _digests(entry) else {}
    except (OSError, ValueError, RecursionError):  # no entry, or none that can be read: it is made anew
        return {}


def _is_sound(entry: Path, is_sound: Callable[[Path], bool]) -> bool:
    try:
        return is_sound(entry)
    except (OSError, ValueError, RecursionError):  # files are missing, or no numbers
        return False


def _write(entry: Path, make: Callable[[Path], None]) -> dict[str, str]:
    """Make an entry; returns the checksums of its files."""
    beside = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", suffix=".partial", dir=entry.parent))
    try:
        make(beside)
        checksums = _digests(beside)
        (beside / _MANIFEST).write_text(json.dumps(checksums), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        try:
            beside.rename(entry)
        except OSError:
            checksums = _checked(entry)
            if not checksums:  # else another process, on a disk that knows no locks, was first
                raise
        return checksums
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _digests(entry: Path) -> dict[str, str]:
    found = {}
    for path in sorted(entry.iterdir()):
        if path.name != _MANIFEST:
            if path.is_symlink() or not path.is_file():  # a device or a pipe may have no end
                raise OSError(f"{path} is no file")
            with open(path, "rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _prune(folder: Path, limit: int) -> None:
    """Remove the entries that were not used for the longest time until the rest is within the limit."""
    entries = []
    for path in folder.iterdir():
        if not _OURS.fullmatch(path.name):  # the user may have named a folder that holds other things, too
            continue
        try:
            used = path.stat().st_mtime
            if not path.name.startswith("."):
                entries.append((used, path, sum(file.stat().st_size for file in path.iterdir())))
            elif used < time.time() - _OLD:
                _remove(path)
        except FileNotFoundError:  # another run has removed it
            continue
    room = limit - sum(size for _, _, size in entries)
    for used, path, size in sorted(entries):
        if room >= 0 or used > time.time() - _BUSY:
            break
        _remove(path)
        room += size


def _remove(path: Path) -> None:
    """Remove a file, or a folder. On Windows one that is in use stays; a later run removes it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process of this machine is in this block; where there are no locks, go on at once.

    The lock ends with its process. Without one the same entry is made twice, and one of the two is kept.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(lock, "w", encoding="utf-8") as file:
        with suppress(OSError):  # a network's disk without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
