"""Classify texts with the model of a run.

python -m accel_cls.predict runs/food --text "送餐很快，味道也好"
python -m accel_cls.predict runs/food --file in.csv --out out.csv
cat texts.txt | python -m accel_cls.predict runs/food

`accel-cls predict` is the same command.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accel_cls.completion import complete_run
from accel_cls.errors import UserError, printable
from accel_cls.recipe.canonical import is_encoding
from accel_cls.startup import heavy_imports, run_command

if TYPE_CHECKING:
    from accel_cls.inference.classifier import Classifier
    from accel_cls.inference.input import Input
    from accel_cls.inference.output import Classified

_ENDINGS = (".csv", ".tsv", ".jsonl")


Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run folder such as runs/food, or a model folder.", autocompletion=complete_run
    ),
]
Column = Annotated[
    list[str] | None,
    typer.Option(help="The file's text column (for pairs: give it twice) where it has another name."),
]
Out = Annotated[
    str | None,
    typer.Option(
        help=f"Where all columns of the input go, with the predictions: a file that ends in {', '.join(_ENDINGS)}."
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Only so many classes with their probabilities, the likeliest first; with several labels a text whether "
        "they are predicted or not.",
    ),
]


def predict(
    run: Run,
    text: Annotated[list[str] | None, typer.Option(help="A text; may be given several times.")] = None,
    pair: Annotated[list[str] | None, typer.Option(help="For a model of pairs: each --text's second text.")] = None,
    file: Annotated[
        str | None,
        typer.Option(help="A csv, tsv, json, jsonl or parquet file with the columns that the run was trained on."),
    ] = None,
    column: Column = None,
    out: Out = None,
    top: Top = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="As the model itself says it: without the run's temperature, decisions and sets."),
    ] = False,
    encoding: Annotated[
        str | None, typer.Option(help="Of the file or of standard input, such as cp1252; found where it can be.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What the model computes in: fp32, or bf16 or fp16: faster, less exact, where a device has them.",
        ),
    ] = "fp32",
) -> None:
    """Classify texts with the model of a run: --text, --file, or one text a line on standard input.

    Where a file has the labels that the run was trained on, scores follow on standard error.

    Examples:

      accel-cls predict runs/food --text "送餐很快，味道也好"

      accel-cls predict runs/food --file in.csv --out out.csv

      accel-cls predict runs/food --top 3 < texts.txt > classified.jsonl
    """
    _check(text, pair, file, out, encoding)
    with heavy_imports(names_hub=False):
        from accel_cls.inference.input import of_file, of_lines, of_texts
        from accel_cls.inference.loading import load_classifier
        from accel_cls.inference.output import check_out, check_top

        classifier = load_classifier(run, precision)
        if raw:
            classifier = classifier.plain()
    check_top(classifier, top)
    if out is not None:
        check_out(Path(out))
    if file is not None:
        given = of_file(file, column, classifier, encoding, _tell)
    else:
        given = of_texts(text, pair) if text else of_lines(sys.stdin.buffer, encoding, _tell)
    classifier.check_texts(given.texts)
    _answer(classifier, given, top, out, is_shown=bool(text))


def _answer(classifier: Classifier, given: Input, top: int | None, out: str | None, is_shown: bool) -> None:
    """Write the predictions to a file, show them, or print them as JSON lines; then what is to be said of them."""
    from accel_cls.inference.output import Output, show_predictions, telling_decided, telling_lost
    from accel_cls.inference.precision import faster_precision, slow_precision
    from accel_cls.models.configuration import encoder_width

    computes = classifier.precision, classifier.device, encoder_width(classifier.model.config)
    if slow := slow_precision(*computes):
        _tell(slow)
    last_notes: list[str] = []
    classified = telling_lost(_classified(classifier, given), last_notes)
    if not is_shown:
        classified = telling_decided(classified, classifier, last_notes)
    output = Output(classifier, given.rows, top)
    if renamed := output.renamed(Path(out).suffix.lower() if out else ".jsonl"):
        _tell(renamed)
    if out:
        count = output.write(Path(out), classified)
        _tell(f"{count} predictions in {out}")
        if faster := faster_precision(*computes, count):
            _tell(faster)
    elif is_shown:
        shown = list(classified)
        with _standard_output():
            show_predictions(shown, top)
    else:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():  # for a program, which reads UTF-8
            sys.stdout.reconfigure(encoding="utf-8")
        for one in classified:
            line = output.entries(one)
            with _standard_output():
                print(line)
    with _standard_output():
        print(end="", flush=True)
    for note in [*last_notes, *(given.scoring.lines() if given.scoring is not None else ())]:
        _tell(note)


app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
app.command()(predict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m accel_cls.predict`. Returns the exit status."""
    return run_command(lambda: app(arguments, prog_name="accel_cls.predict"))


@contextmanager
def _standard_output() -> Iterator[None]:
    """Make a standard output that takes no more, such as one to a full disk, a message; a closed one takes all."""
    try:
        yield
    except BrokenPipeError:  # its reader has seen enough
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would be written at the exit
        raise UserError(f"standard output: {error.strerror or error}") from error


def _tell(note: str) -> None:
    print(printable(note), file=sys.stderr, flush=True)


def _check(
    text: list[str] | None, pair: list[str] | None, file: str | None, out: str | None, encoding: str | None
) -> None:
    """Raise UserError where the options do not fit together."""
    if out is not None:
        _check_out(out, file)
    if text and file:
        raise UserError("--text and --file: give one of the two")
    if pair and len(pair) != len(text or ()):
        raise UserError(f"--pair: found {len(pair)} for {len(text or ())} --text; give one for each")
    if encoding is not None and not is_encoding(encoding):
        raise UserError(f"--encoding: found {encoding!r}; expected an encoding that Python knows, such as cp1252")
    if not text and not file and (sys.stdin is None or sys.stdin.isatty()):  # None: closed by whoever started us
        raise UserError("nothing to classify: give --text, --file, or texts on standard input, one a line")


def _check_out(out: str, file: str | None) -> None:
    """Raise UserError where predictions would go into what is no file of theirs, or is read."""
    from accel_cls.data.files import expand

    path = Path(out)
    if path.suffix.lower() not in _ENDINGS:
        raise UserError(f"--out {out}: expected a file that ends in {', '.join(_ENDINGS)}")
    if os.path.isdir(path):
        raise UserError(f"--out {out}: is a folder; name a file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"--out {out}: is a pipe or a device, and would be replaced; name a file")
    if file is not None and os.path.exists(path) and any(path.samefile(one) for one in expand(file)):
        raise UserError(f"--out {out}: is the file that is read, and would be replaced; name another one")


def _classified(classifier: Classifier, given: Input) -> Iterator[Classified]:
    """Rows with their texts and predictions, as they come; those that have labels are scored on the way."""
    from accel_cls.inference.classifier import whole
    from accel_cls.inference.output import Classified

    shown, asked = tee((row, tuple(map(whole, texts))) for row, texts in given.examples)
    predictions = classifier.predict_stream(
        texts[0] if len(texts) == 1 else (texts[0], texts[1]) for _, texts in asked
    )
    for (row, texts), prediction in zip(shown, predictions, strict=True):
        if given.scoring is not None:
            given.scoring.add(row, texts, prediction)
        yield Classified(row, texts, prediction)


if __name__ == "__main__":
    sys.exit(main())
