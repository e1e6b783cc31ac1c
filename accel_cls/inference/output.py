"""Predictions written for people and for programs, as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from rich.cells import cell_len  # a Chinese character takes two cells

from accel_cls.atomic import check_writable, json_text, whole_file, write_csv
from accel_cls.data.rows import Rows
from accel_cls.errors import UserError, listed, printable, shown
from accel_cls.evaluation.deciding.postprocessing import decision_cells, decision_entries
from accel_cls.inference.classifier import Classifier, Prediction, whole

TAKEN = "model_"  # stands before a name of ours that a column of the input has


@dataclass(frozen=True)
class Classified:
    """A row of the input, its texts, and what the model says of it."""

    row: Any
    texts: Sequence[str]
    prediction: Prediction


@dataclass(frozen=True)
class Output:
    """What is written of each row: all that it held, then the prediction under names that are still free."""

    classifier: Classifier
    rows: Rows
    top: int | None = None  # how many of the likeliest classes; None: all, in the order of their ids

    @cached_property
    def cell_names(self) -> list[str]:
        """The prediction's columns in a file of cells."""
        return _free(self._own_cell_names, self.rows.header)

    @cached_property
    def entry_names(self) -> dict[str, str]:
        """The prediction's keys in a file of objects, by their usual names."""
        keys = self.classifier.task.json_keys
        usual = [name if self.top is None or name != "probabilities" else "top" for name in keys]
        usual += self.classifier.post.columns
        return dict(zip(usual, _free(usual, self.rows.keys), strict=True))

    @property
    def _own_cell_names(self) -> list[str]:
        own = [*self.classifier.task.prediction_header, *self.classifier.post.columns]
        if self.top is None:
            return [*own, *(f"p({name})" for name in self.classifier.names)]
        return [*own, *(f"{what}_{i + 1}" for i in range(self.top) for what in ("label", "p"))]

    def renamed(self, ending: str) -> str | None:
        """What is to be told of names of ours that the input's columns have; None where there are none."""
        usual, names = [*self.entry_names], [*self.entry_names.values()]
        if ending in (".csv", ".tsv"):
            usual, names = self._own_cell_names, self.cell_names
        pairs = [f"{new} for {shown(old)}" for old, new in zip(usual, names, strict=True) if old != new]
        if not pairs:
            return None
        return f"the input has columns that are called like the prediction's; these are called: {listed(pairs, 5)}"

    def cells(self, one: Classified) -> list[str]:
        """A line of a file of cells."""
        task, prediction = self.classifier.task, one.prediction
        line = [*map(whole, self.rows.cells(one.row))]
        line += task.prediction_cells(prediction.labels, prediction.probabilities)
        line += decision_cells(task, prediction.decision, prediction.prediction_set)
        if self.top is None:
            return [*line, *(f"{prediction.probabilities[name]:.6f}" for name in self.classifier.names)]
        return [*line, *(cell for name, p in prediction.likeliest(self.top) for cell in (name, f"{p:.6f}"))]

    def entries(self, one: Classified) -> str:
        """A line of a file of objects."""
        prediction = one.prediction
        probabilities = {name: round(p, 6) for name, p in prediction.probabilities.items()}
        own = self.classifier.task.as_json(prediction.labels, probabilities)
        if self.top is not None:
            del own["probabilities"]
            own["top"] = [{"label": name, "probability": round(p, 6)} for name, p in prediction.likeliest(self.top)]
        own |= decision_entries(self.classifier.task, prediction.decision, prediction.prediction_set)
        content = self.rows.entries(one.row) | {self.entry_names[name]: value for name, value in own.items()}
        return whole(json_text(content))

    def write(self, out: Path, classified: Iterable[Classified]) -> int:
        """Write all to a file by its ending, whole; returns how many.

        Raises:
            UserError: where a text can't stand in a tab-separated file, and for a disk that is full.
        """
        with _written_to(out):
            return self._write(out, classified)

    def _write(self, out: Path, classified: Iterable[Classified]) -> int:
        ending, count = out.suffix.lower(), 0
        header = [*map(whole, self.rows.header), *self.cell_names]
        if ending == ".csv":
            return write_csv(out, header, map(self.cells, classified))
        if ending == ".jsonl":
            with whole_file(out) as file:
                for one in classified:
                    file.write(self.entries(one) + "\n")
                    count += 1
            return count
        with whole_file(out, encoding="utf-8-sig") as file:  # without quotes, as such files are read
            for count, line in enumerate(chain([header], map(self.cells, classified))):
                _check_tabs(out, count, header, line)
                file.write("\t".join(line) + "\n")
        return count


def check_out(out: Path) -> None:
    """Raise UserError where no predictions can be written to a file; folders that it needs are made."""
    with _written_to(out):
        check_writable(out)


@contextmanager
def _written_to(out: Path) -> Iterator[None]:
    """Make what keeps a file from being written a message to the user."""
    try:
        yield
    except OSError as error:
        reason = f"{error.filename} is no folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise UserError(f"--out {out}: can't be written: {reason}") from error


def _free(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """These names; one that is taken with `TAKEN` before it, as often as it takes."""
    used, free = {*taken, *names}, []
    for name in names:
        new = name
        while new in taken or (new != name and new in used):
            new = TAKEN + new
        used.add(new)
        free.append(new)
    return free


def _check_tabs(out: Path, row: int, header: Sequence[str], line: Sequence[str]) -> None:
    """Refuse texts that a tab-separated file can't hold."""
    for name, text in zip(header, line, strict=True):
        if any(c in text for c in "\t\n\r"):
            where = f"{name} {row}" if row else f"the column {name!r}"
            raise UserError(
                f"--out {out}: {where} holds a tab or a line end, as no tsv file can; choose .csv or .jsonl"
            )


def show_predictions(classified: Sequence[Classified], top: int | None = None) -> None:
    """Print a line for each text: labels, probability, probabilities, text; aligned on a terminal.

    Args:
        classified: the texts with their predictions.
        top: how many of the likeliest classes; None shows all, in the order of their ids.
    """
    labels = [printable(_label_of(one.prediction)) for one in classified]
    wide = max(map(cell_len, labels))
    for label, one in zip(labels, classified, strict=True):
        label += " " * (wide - cell_len(label))
        prediction = one.prediction
        if not prediction.probabilities:
            print(f"{label}   {printable(one.texts[0])}")
            continue
        which = prediction.probabilities.items() if top is None else prediction.likeliest(top)
        every = "  ".join(f"{name} {p:.4f}" for name, p in which)
        print(f"{label}  {prediction.probability:.4f}   {printable(f'({every})   {one.texts[0]}')}")


def _label_of(prediction: Prediction) -> str:
    """What is decided, or else predicted, and the set."""
    said = prediction.labels if prediction.decision is None else prediction.decision
    label = ", ".join(said) or "–"
    chosen = prediction.prediction_set
    return label if chosen is None else f"{label}  {{{', '.join(chosen)}}}"


def check_top(classifier: Classifier, top: int | None) -> None:
    """Raise UserError where a model has not so many classes."""
    count = len(classifier.names)
    if top is not None and not count:
        raise UserError("--top: the model answers with a number, not with one of several classes; leave it out")
    if top is not None and not 1 <= top <= count:
        raise UserError(
            f"--top: found {top}; expected 1 to {count}: the model's classes are {listed(classifier.names)}"
        )


def telling_decided(
    classified: Iterable[Classified], classifier: Classifier, notes: list[str]
) -> Iterator[Classified]:
    """The same, as they come; at their end a note of how many were decided, and how large sets are, by rules."""
    texts = decided = members = 0
    for one in classified:
        texts += 1
        decided += bool(one.prediction.decision)
        members += len(one.prediction.prediction_set or ())
        yield one
    said = []
    if classifier.post.thresholds is not None and classifier.task.as_decision(()) is None:
        said.append(f"decided {decided:,} of {texts:,} texts; the run's rules abstain from the others")
    if classifier.post.sets_from is not None and texts:
        said.append(f"sets of {members / texts:.2f} classes on average")
    if said:
        notes.append("; ".join(said))


def telling_lost(classified: Iterable[Classified], notes: list[str]) -> Iterator[Classified]:
    """The same, as they come; at their end one note where texts held U+FFFD, which stands for lost letters."""
    texts = characters = 0
    for one in classified:
        count = sum(text.count("\ufffd") for text in one.texts)
        texts, characters = texts + (count > 0), characters + count
        yield one
    if characters:
        notes.append(
            f"{texts:,} text{'s' if texts > 1 else ''} held U+FFFD (\ufffd), {characters:,} in all: letters that were "
            "lost when the texts were written, or halves of characters"
        )
