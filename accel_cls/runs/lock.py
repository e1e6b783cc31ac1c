"""One run folder has one owner: a lock that the system drops with its owner, and a file that tells who it is.

The lock lies inside the run folder, since that is all that two containers or machines may share. It is `flock`'s:
Linux passes it on to the server of a network's disk, and it is kept until this very opening of the file is closed,
while `lockf`'s is lost as soon as anything in the process closes the same file.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from accel_cls.errors import UserError

LOCK_NAME = ".owner.lock"

_TRIES = 100  # a lock file that vanishes between two calls belonged to a run that has just ended
_LOCKED = 1 << 30  # the byte that is locked on Windows, where what is locked can't be read: beyond the text
# The last one is a network's disk's, for a lock file that another user has made.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
# Who may not write here is no danger to whoever owns the folder, and learns the reason at the first real write.
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)


class RunLock:
    """The lock of a run folder; until `acquire` it is nobody's."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._path = folder / LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self, notes: list[str]) -> None:
        """Become the folder's owner, until `close` or this process's end; the folder is made where it is missing.

        Raises:
            UserError: where another run is; it names that run and what to do.
        """
        if self._descriptor is not None:
            return
        try:
            self._descriptor = self._open()
        except OSError as error:
            if error.errno in _NO_LOCKS:
                notes.append(
                    f"the disk of {self._folder} knows no locks ({error.strerror}): nothing keeps a second run from "
                    "writing into the same folder"
                )
            elif error.errno not in _NO_WRITING:
                raise
        else:
            self._write_owner()
            if hasattr(os, "register_at_fork"):
                # A forked child shares its parent's lock, and would keep it when the parent is gone.
                os.register_at_fork(after_in_child=self._close_in_child)

    def refusal(self) -> str | None:
        """What `acquire` would refuse with now; None where nobody has the folder. Changes nothing."""
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except OSError:  # there is none; or it can't be opened, and then `acquire` would do without
            return None
        try:
            _lock(descriptor)
        except BlockingIOError:
            return self._refusal()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        finally:
            os.close(descriptor)
        return None

    def close(self) -> None:
        """Give the folder free, and leave nothing of the lock."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if sys.platform == "win32":  # there, a file that is open can't be deleted
            os.close(descriptor)
            descriptor = -1
        with suppress(OSError):
            self._path.unlink()
        if descriptor >= 0:
            os.close(descriptor)

    @contextmanager
    def held_through_rename(self, aside: Path) -> Iterator[None]:
        """While the folder is renamed to `aside`: the lock is held until then, and taken again in a new folder.

        Raises:
            UserError: where another run has begun in the new folder in just that moment.
        """
        old, self._descriptor = self._descriptor, None
        if old is None:
            yield
            return
        if sys.platform == "win32":  # there, a folder with an open file can't be renamed
            os.close(old)
            old = -1
        try:
            yield
            with suppress(OSError):
                (aside / LOCK_NAME).unlink()
        finally:
            if old >= 0:
                os.close(old)
        self.acquire([])

    def _open(self) -> int:
        """A descriptor that holds the lock of the file that is there now."""
        for _ in range(_TRIES):
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = self._open_file()
            except FileNotFoundError:  # the folder has just been renamed by its owner
                continue
            try:
                _lock(descriptor)
                # An owner that ended in between has deleted the file, or renamed the folder: its lock locks nothing.
                if os.path.samestat(os.fstat(descriptor), os.stat(self._path)):
                    return descriptor
            except BlockingIOError as error:
                os.close(descriptor)
                raise UserError(self._refusal()) from error
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        raise UserError(f"output: {self._folder} is being renamed or deleted by others all the time; name another one")

    def _open_file(self) -> int:
        """Open the lock file; the descriptor does not outlive `exec`, as Python has it by default."""
        try:
            # For reading and writing: on a network's disk only that can be locked for one.
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno not in _NO_WRITING:
                raise
            try:
                return os.open(self._path, os.O_RDONLY)  # another user's, or on a disk that this machine only reads
            except OSError:
                raise error from None

    def _write_owner(self) -> None:
        """Write down who owns the folder; on a full disk nobody learns it, but the lock holds."""
        assert self._descriptor is not None
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        owner = {"host": socket.gethostname(), "process": os.getpid(), "since": since}
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, (json.dumps(owner) + "\n").encode())

    def _refusal(self) -> str:
        owner: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            owner = json.loads(self._path.read_text(encoding="utf-8"))
        who, stop = "another run", "stop that run"
        if isinstance(owner, dict) and {"host", "process", "since"} <= set(owner):
            is_here = owner["host"] == socket.gethostname()
            place = f"{owner['host']}, this machine" if is_here else str(owner["host"])
            who = f"another run: process {owner['process']} on {place}, since {owner['since']}"
            stop = f"stop it (kill {owner['process']}{'' if is_here else ' on ' + str(owner['host'])})"
        return (
            f"output: {self._folder} belongs to {who}. Two runs in one folder would spoil each other.\n"
            f"Wait until it has ended, or {stop}, and give the same command again; or name another folder with "
            "output=…"
        )

    def _close_in_child(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    """Lock an open file without waiting. Raises BlockingIOError where another process has it."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCKED, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, error.strerror) from error
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
