"""Several trainings by one command, one after the other, on the same Accelerator, in run folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Literal

from accel_cls.console import Console, ProgressConsole
from accel_cls.devices.prepare import let_go, scaler_state
from accel_cls.errors import Diverged
from accel_cls.runs.folder import RunFolder, disk_errors_explained
from accel_cls.stopping import SAVE_FILE, Stopped
from accel_cls.training.fit import Session

Shows = Literal["all", "progress", "nothing"]


class Series:
    """What such trainings have in common: one SAVE file, a stop that ends them all, memory given back after each."""

    def __init__(self, session: Session, folder: RunFolder):
        """For a command.

        Args:
            session: the command's.
            folder: the one around their folders.
        """
        self._session, self._folder = session, folder
        self._accelerator = session.hardware.accelerator
        self._scaler = scaler_state(self._accelerator)
        self._shown: dict[str, Sequence[tuple[str, str]]] = {}  # of their banners

    @contextmanager
    def going_on(self, so_far: Callable[[], str]) -> Iterator[None]:
        """While the trainings go on, SAVE is looked for in the folder around them; a stop says how far they came.

        Args:
            so_far: how much is done, for people: "3 of 5 runs".
        """
        self._forget_save()  # a stop that was asked for before is over
        self._session.stopping.save_in = self._folder.path
        try:
            yield
        except Stopped as stop:
            self._session.stopping.end_training()
            self._forget_save()
            lines = [("finished", so_far()), ("to go on", "run the same command again")]
            self._session.console.section(str(stop), lines)
            stop.is_told = True
            raise
        finally:
            self._session.stopping.save_in = None

    def train(self, folder: RunFolder, work: Callable[[Session], None], shows: Shows = "all") -> str | None:
        """One of the trainings; returns why it has diverged, None where it has not. Called by all processes.

        Args:
            folder: its own.
            work: what trains it, given its session.
            shows: what of it is shown: all, with a table of evaluations of its own; how far it is; nothing.

        Raises:
            Stopped: where the command was told to stop.
        """
        cause, _ = self._session.stopping.agree(self._accelerator, self._folder.path)
        if cause is not None:
            raise Stopped(cause)
        kind = ProgressConsole if shows == "progress" else Console
        console = kind(shows == "nothing" or not self._accelerator.is_main_process, self._shown)
        diverged = None
        try:
            with closing(folder.lock), disk_errors_explained(folder):
                work(Session(self._session.hardware, self._session.stopping, console))
        except Diverged as error:
            diverged = str(error).partition("\n")[0]
        let_go(self._accelerator, self._scaler)
        self._accelerator.wait_for_everyone()
        return diverged

    def _forget_save(self) -> None:
        if self._accelerator.is_main_process:
            (self._folder.path / SAVE_FILE).unlink(missing_ok=True)
