"""Classify texts with the model of a run.

python -m accel_cls.predict runs/food --text "送餐很快，味道也好"
python -m accel_cls.predict runs/food --file in.csv --out out.csv
cat texts.txt | python -m accel_cls.predict runs/food
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from accel_cls.errors import UserError, printable
from accel_cls.startup import heavy_imports, tolerate_encoding

if TYPE_CHECKING:
    from accel_cls.data.reading import SourceTable
    from accel_cls.data.separated import FileFormat
    from accel_cls.inference.classifier import Classifier
    from accel_cls.inference.output import Row

_ENDINGS = (".csv", ".tsv", ".jsonl")


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="accel_cls.predict",
        description="Classify texts with the model of a run: --text, --file, or one text a line on standard input.",
        epilog='Example: python -m accel_cls.predict runs/food --text "送餐很快，味道也好"',
    )
    parser.add_argument("run", help="a run folder such as runs/food, or a model folder")
    parser.add_argument("--text", action="append", help="a text; may be given several times")
    parser.add_argument("--pair", action="append", help="for a model of text pairs: each --text's second text")
    parser.add_argument("--file", help="csv, tsv, json, jsonl or parquet with the columns that the run was trained on")
    parser.add_argument(
        "--column",
        action="append",
        help="the file's text column (for pairs: give it twice) where it has another name",
    )
    parser.add_argument("--out", help=f"where the predictions go: a file that ends in {', '.join(_ENDINGS)}")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line. Returns the exit status."""
    tolerate_encoding()
    options = command_line().parse_args(arguments)
    try:
        _predict(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _predict(options: argparse.Namespace) -> None:
    _check(options)
    with heavy_imports(names_hub=False):
        from accel_cls.inference.classifier import load_classifier
        from accel_cls.inference.output import record, show_predictions, write_predictions

        classifier = load_classifier(options.run)
    if options.file:
        columns = options.column or list(classifier.text_columns or ("text",))
        texts = _rows_of_file(options.file, columns, classifier.files)
    elif options.text:
        columns = ["text", "pair"][: 2 if options.pair else 1]
        texts = zip(*([options.text, options.pair] if options.pair else [options.text]), strict=True)
    else:
        columns, texts = ["text"], ((line.rstrip("\r\n"),) for line in _stdin_lines())
    classifier.check_texts(len(columns))
    rows = _classified(classifier, texts)
    if options.out:
        count = write_predictions(Path(options.out), classifier, columns, rows)
        print(f"{count} predictions in {options.out}", file=sys.stderr)
    elif options.text:
        show_predictions(list(rows))
    else:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():  # for a program, which reads UTF-8
            sys.stdout.reconfigure(encoding="utf-8")
        for cells, prediction in rows:
            content = dict(zip(columns, cells, strict=True)) | record(classifier, prediction)
            print(json.dumps(content, ensure_ascii=False))


def _check(options: argparse.Namespace) -> None:
    """Raise UserError where the options do not fit together."""
    if options.out and Path(options.out).suffix.lower() not in _ENDINGS:
        raise UserError(f"--out {options.out}: expected a file that ends in {', '.join(_ENDINGS)}")
    if options.text and options.file:
        raise UserError("--text and --file: give one of the two")
    if bool(options.pair) and len(options.pair) != len(options.text or ()):
        raise UserError(f"--pair: found {len(options.pair)} for {len(options.text or ())} --text; give one for each")
    if not options.text and not options.file and sys.stdin.isatty():
        raise UserError("nothing to classify: give --text, --file, or texts on standard input, one a line")


def _classified(classifier: Classifier, texts: Iterable[tuple[str, ...]]) -> Iterator[Row]:
    """Texts, one or a pair for each example, with their predictions, as they come."""
    from accel_cls.inference.classifier import whole

    shown, asked = tee(tuple(map(whole, cells)) for cells in texts)
    predictions = classifier.predict_stream(cells[0] if len(cells) == 1 else (cells[0], cells[1]) for cells in asked)
    return zip(shown, predictions, strict=True)


def _rows_of_file(path: str, columns: Sequence[str], files: FileFormat) -> Iterator[tuple[str, ...]]:
    """The text columns of a data file, row by row."""
    from accel_cls.data.corpus import text_table
    from accel_cls.inference.classifier import CHUNK

    notes: list[str] = []
    source, *more = _read_like_training(path, columns, files, notes)
    if more:
        raise UserError(f"--file {path}: found several files; give one")
    for note in notes:
        print(printable(note), file=sys.stderr)
    table = text_table(source.table, columns)
    for start in range(0, len(table), CHUNK):
        yield from zip(*table[start : start + CHUNK].values(), strict=True)


def _read_like_training(path: str, columns: Sequence[str], files: FileFormat, notes: list[str]) -> list[SourceTable]:
    """Read a file by its header line, if it has the columns, else as the files that the model was trained on.

    Raises:
        UserError: where it is neither.
    """
    from accel_cls.data.reading import read_table
    from accel_cls.data.separated import FileFormat

    by_header = replace(files, header=None)
    ways = dict.fromkeys([by_header, replace(by_header, separator=None), FileFormat(), files])
    errors = []
    for written in ways:
        told: list[str] = []
        try:
            tables = read_table(path, columns, [], written, told)
        except UserError as error:
            errors.append(error)
            continue
        if written.header is not None:
            names = ", ".join(written.header)
            told.append(f"{path} has no header line: read as the training files, with the columns {names}")
        notes += told
        return tables
    raise errors[-1] if files.header is not None else errors[0]


def _stdin_lines() -> Iterator[str]:
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")  # type: ignore[union-attr]
    return iter(sys.stdin)


if __name__ == "__main__":
    sys.exit(main())
