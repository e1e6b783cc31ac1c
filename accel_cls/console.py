"""What the user sees while a run goes on: on rank 0 only, a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import rich.console
from rich.markup import escape as escape_markup
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from accel_cls.errors import printable

_LINES = 20  # progress lines over a run where there is no terminal


def escape(text: str) -> str:
    """Escape a text, so that neither rich's markup nor the terminal's escape sequences in it take effect."""
    return escape_markup(printable(text))


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (hours + minutes > 0) + [f"{rest} s"]
    return " ".join(parts)


class Console:
    """Prints on rank 0; is quiet on all others.

    Args:
        quiet: whether this process prints nothing.
        shown: the lines of `section_once`, by title; takes more. Of several consoles, one for all.
    """

    def __init__(self, quiet: bool = False, shown: dict[str, Sequence[tuple[str, str]]] | None = None):
        # A file or a pipe gets whole lines: rich would wrap them at 80 columns.
        out = rich.console.Console(quiet=quiet, highlight=False)
        if not out.is_terminal:
            out = rich.console.Console(quiet=quiet, highlight=False, width=1000)
        self._out = out
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._updates = self._next_line = self._done = 0
        self._began = 0.0
        self._columns: list[str] = []
        self._shown = {} if shown is None else shown

    def print(self, text: str) -> None:
        """Print a text as it is."""
        self._out.print(escape(text), soft_wrap=True)

    def section(self, title: str, lines: Sequence[tuple[str, str]]) -> None:
        """Print a title and named lines under it."""
        self._out.print(f"[bold]{escape(title)}[/bold]", soft_wrap=True)
        for name, text in lines:
            self._out.print(f"  [cyan]{escape(name):<13}[/cyan] {escape(text)}", soft_wrap=True)

    def section_once(self, title: str, lines: Sequence[tuple[str, str]]) -> None:
        """The same, but without lines that were there under this title the last time: trainings share a banner."""
        before = self._shown.get(title, ())
        if new := [line for line in lines if line not in before]:
            self.section(title, new)
        self._shown[title] = lines

    def note(self, text: str) -> None:
        """Print a decision that the user should know of."""
        self._out.print(f"  [yellow]note[/yellow]          {escape(text)}", soft_wrap=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table, indented like a section's lines; numbers stand to the right. Wrapped on a terminal only."""
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        for at, name in enumerate(head):
            is_number = all(row[at].rstrip("%").replace(",", "").replace(".", "").isdecimal() for row in rows)
            table.add_column(name, justify="right" if is_number else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(escape, row))
        indented = Padding(table, (0, 0, 0, 2), expand=False)
        if self._out.is_terminal:
            self._out.print(indented)
        else:
            with self._out.capture() as captured:
                self._out.print(indented)
            self.print("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def finding(self, kind: str, what: str, cases: Sequence[str], advice: str) -> None:
        """Print a finding: what it is, where it stands, what to do about it."""
        self._out.print(f"  [yellow]{escape(kind)}[/yellow]  {escape(what)}", soft_wrap=True)
        for case in cases:
            self._out.print(f"    [dim]{escape(case)}[/dim]", soft_wrap=True)
        if advice:
            self._out.print(f"    → {escape(advice)}", soft_wrap=True)

    def start(self, done: int, updates: int) -> None:
        """Start the progress bar, at update `done` of `updates`."""
        self._updates, self._next_line = updates, done + max(1, updates // _LINES)
        self._done, self._began = done, time.monotonic()
        if self._out.is_terminal and not self._out.quiet:
            self._progress = Progress(
                TextColumn("[bold]training"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[state]}"),
                TimeRemainingColumn(),
                console=self._out,
                expand=True,
            )
            self._task = self._progress.add_task("training", total=updates, completed=done, state="")
            self._progress.start()

    def advance(self, update: int) -> None:
        """Move the progress bar to an update."""
        if self._progress is not None:
            self._progress.update(self._task, completed=update)

    def log(self, update: int, record: Mapping[str, float | None]) -> None:
        """Show loss, learning rate and throughput: beside the bar, or as a line, of which a run has about 20."""
        state = (
            f"loss {record['loss']:.4f}  rate {record['learning_rate']:.2e}  "
            f"{record['examples_per_second']:,.0f} examples/s"
        )
        if self._progress is not None:
            self._progress.update(self._task, state=state)
        elif update >= self._next_line or update == self._updates:
            self._next_line = update + max(1, self._updates // _LINES)
            self.print(f"update {update:>{len(str(self._updates))}}/{self._updates}  {state}{self._left(update)}")

    def _left(self, update: int) -> str:
        """How long the rest will take, if it goes as this start has gone, evaluations and checkpoints included."""
        if update >= self._updates or update <= self._done:
            return ""
        seconds = (time.monotonic() - self._began) / (update - self._done) * (self._updates - update)
        return f"  {duration(seconds)} left"

    def set_state(self, state: str) -> None:
        """Set the state beside the progress bar, while something takes long."""
        if self._progress is not None:
            self._progress.update(self._task, state=state)

    def evaluation(self, update: int, epoch: float, scores: dict[str, float], is_best: bool) -> None:
        """Print a row of the table of evaluations, before the first its head."""
        if not self._columns:
            self._columns = list(scores)
            head = "".join(f"  {name:>{max(9, len(name))}}" for name in self._columns)
            self._out.print(f"[bold]{'epoch':>6}  {'update':>7}{head}[/bold]")
        row = "".join(f"  {scores[name]:>{max(9, len(name))}.4f}" for name in self._columns)
        mark = "  [green]best so far[/green]" if is_best else ""
        self._out.print(f"{epoch:>6.2f}  {update:>7}{row}{mark}")

    def stop(self) -> None:
        """Stop the progress bar, also after an error."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class ProgressConsole(Console):
    """Shows how far a training is, and nothing else of it."""

    def section(self, title: str, lines: Sequence[tuple[str, str]]) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def evaluation(self, update: int, epoch: float, scores: dict[str, float], is_best: bool) -> None:
        """Show nothing."""
