"""Stopping with notice: signals, or a file SAVE in the run folder, end the same update on all processes.

Before training there is nothing to save: a signal then ends the run where it stands. In training it only raises a
flag, and the loop, which asks for it after each update, saves and ends. A second Ctrl-C ends the process at once.
Imports nothing slow, since it listens from the command's first moment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import Accelerator

STOPPED = 75  # exit status of a run that goes on when started again: sysexits.h's EX_TEMPFAIL, "try again later"
INTERRUPTED = 130  # exit status after a second Ctrl-C, as shells have it
STATUS_FILE = "ACCEL_CLS_STATUS_FILE"  # environment variable: a file for the exit status
SAVE_FILE = "SAVE"  # touched in a run folder, it stops the run as a signal does

# SIGUSR1: what Slurm's --signal=USR1@120 sends ahead of the time limit. SIGHUP: the terminal's connection is lost.
_SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP")
# A launcher passes Ctrl-C on to processes that the terminal has told already: what comes so soon is the same one.
_SAME_INTERRUPT = 1.0  # seconds
_POLL = 1.0  # seconds between two checks for the file: on a network disk one costs a millisecond
_XLA_POLL = 10  # updates between two questions on XLA, each of which waits for the device
_PR_SET_PDEATHSIG = 1  # Linux: prctl's request for a signal when the parent ends


class Stopped(BaseException):
    """The run was told to stop, and has. A BaseException, as KeyboardInterrupt is: no library is to swallow it."""

    def __init__(self, cause: str):
        super().__init__(f"stopped by {cause}")
        self.is_told = False  # the user has been told


class Stopping:
    """The signal, or file, that stops this process, and, once training has begun, any process of the run."""

    def __init__(self) -> None:
        self.cause: str | None = None  # "SIGTERM" ...: what stops this process
        self.save_in: Path | None = None  # where SAVE is looked for while trials train in folders of their own
        self._is_training = False
        self._since = 0.0
        self._asked = 0
        self._checked = 0.0

    def listen(self) -> None:
        """Take over the signals, from the main thread; where there is another one, as in a test, they stay."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in stop_signals():
            signal.signal(number, self._on_signal)
        self._watch_for_second_interrupt()

    def begin_training(self) -> None:
        """From here on a signal does not end the process, but is heard after the update.

        Raises:
            Stopped: where one has come just before.
        """
        self._is_training = True
        if self.cause is not None:
            raise Stopped(self.cause)

    def end_training(self) -> None:
        """All is saved: signals that come now, such as the launcher's to the last process, change nothing."""
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                signal.signal(number, signal.SIG_IGN)

    def restore_signals(self) -> None:
        """The run has failed: what tells this process to stop ends it, as if it had never listened."""
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                signal.signal(number, signal.SIG_DFL)

    def agree(self, accelerator: Accelerator, folder: Path, save: bool = False) -> tuple[str | None, bool]:
        """What stops any process, and whether rank 0 wants to `save`. Called by all processes.

        A sum over the processes' CPUs: it waits for no device, but for the slowest process, as the gradient does.

        Returns:
            The cause, such as "SIGTERM", or None; and whether to save.
        """
        if accelerator.is_main_process and self.cause is None:
            self._check_save_file((self.save_in or folder) / SAVE_FILE)
        if accelerator.num_processes == 1:
            return self.cause, save
        self._asked += 1
        if accelerator.device.type == "xla" and self._asked % _XLA_POLL:
            return None, False
        causes = [*_SIGNALS, SAVE_FILE]
        mine = [float(cause == self.cause) for cause in causes] + [float(save and accelerator.is_main_process)]
        *counts, saves = self._sum(accelerator, mine)
        return next((cause for cause, count in zip(causes, counts, strict=True) if count), None), saves > 0

    def _sum(self, accelerator: Accelerator, numbers: list[float]) -> list[float]:
        import torch
        import torch.distributed as dist

        if accelerator.device.type == "xla" or not dist.is_initialized():
            return accelerator.reduce(torch.tensor(numbers, device=accelerator.device), "sum").tolist()
        if not hasattr(self, "_group"):
            self._group = dist.new_group(backend="gloo")
        flags = torch.tensor(numbers)
        dist.all_reduce(flags, group=self._group)
        return flags.tolist()

    def _check_save_file(self, path: Path) -> None:
        now = time.monotonic()
        if now - self._checked >= _POLL:
            self._checked = now
            if path.exists():
                self.cause = SAVE_FILE

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.cause is None:
            self.cause, self._since = signal.Signals(number).name, time.monotonic()
            if not self._is_training:
                raise Stopped(self.cause)

    def _watch_for_second_interrupt(self) -> None:
        """A second Ctrl-C ends the process in the middle of whatever it does, also inside torch.

        Python runs signal handlers between two of its own instructions only, which may be minutes away; the number of
        the signal is written into this pipe at once.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def watch() -> None:
            first = None
            while numbers := os.read(reader, 64):
                now = time.monotonic()
                if signal.SIGINT not in numbers:
                    continue
                if first is None:
                    first = now
                    if self._is_training and os.environ.get("RANK", "0") == "0":
                        text = "\nends after this update, and saves; Ctrl-C once more stops at once\n"
                        with suppress(OSError):
                            os.write(2, text.encode())
                elif now - first > _SAME_INTERRUPT:
                    with suppress(OSError):
                        os.write(2, b"\nstopped at once; the same command goes on from the newest checkpoint\n")
                    os._exit(INTERRUPTED)

        threading.Thread(target=watch, name="second Ctrl-C", daemon=True).start()


def stop_signals() -> list[signal.Signals]:
    """The signals that stop a run, as far as this system has them and nohup or a shell has not turned them off."""
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]  # Windows: the first two
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def stop_with_parent() -> None:
    """Get SIGTERM when the launcher ends: `accelerate launch` with one process passes no signal on. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def leave_status(status: int) -> None:
    """Leave an exit status where `accel-cls launch` looks for it: accelerate's own is 1 for everything but 0.

    The first of several processes is right: the launcher ends the others because of it.
    """
    path = os.environ.get(STATUS_FILE)
    if path and status:
        with suppress(OSError), open(path, "x", encoding="ascii") as file:  # without it, it is 1
            file.write(str(status))
