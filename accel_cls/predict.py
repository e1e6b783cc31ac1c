"""Classify texts with the model of a run.

python -m accel_cls.predict runs/food --text "送餐很快，味道也好"
python -m accel_cls.predict runs/food --file in.csv --out out.csv
cat texts.txt | python -m accel_cls.predict runs/food
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_cls.errors import UserError, listed, printable
from accel_cls.startup import heavy_imports

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from accel_cls.data.texts import Texts

# Tokens that go through the model at once. On a CPU fewer stay in its cache: 12,000 reviews through a BERT 2×128 took
# 2.6 s by 4,096, 2.9 by 16,384.
_TOKENS, _TOKENS_ON_CPU = 16384, 4096
_OUTPUTS = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text."""

    label: str
    probability: float
    probabilities: dict[str, float]  # by class name, in the order of the ids


@dataclass(frozen=True)
class Classifier:
    """A trained model with its tokenizer, on a device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    first_position: int | None  # of a packed text's first token; None: this family of models can't be packed

    @property
    def names(self) -> list[str]:
        """The class names, in the order of their ids."""
        return [self.model.config.id2label[i] for i in range(self.model.config.num_labels)]

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Prediction]:
        """Classify texts (or text pairs), truncated as in training; the order is kept."""
        from accel_cls.data.texts import Texts

        # What no file and no argument of a terminal holds as text, half a character, becomes U+FFFD.
        columns = {"text": [*map(_whole, texts)]} | ({} if pairs is None else {"pair": [*map(_whole, pairs)]})
        return list(self.predict_table(Texts.of(columns)))

    def predict_table(self, texts: Texts) -> Iterator[Prediction]:
        """Classify a table's columns "text" and, for pairs, "pair"; the order is kept.

        Texts of like length go through the model together, so that little of it is padding.
        """
        import numpy as np
        import torch

        from accel_cls.batching.batches import Batches
        from accel_cls.batching.layout import Layout
        from accel_cls.evaluation.predictions import Predictions
        from accel_cls.tokenization.encode import encode

        if not len(texts):
            return
        longest = self.tokenizer.model_max_length
        encoded = encode(self.tokenizer, texts, longest)
        unknown = np.zeros(len(texts), np.int64)
        weights = np.ones(len(self.names), np.float32)
        pad, first = self.tokenizer.pad_token_id, self.first_position or 0
        batches = Batches(encoded, unknown, weights, pad, self.device, None, None, first)
        tokens = _TOKENS_ON_CPU if self.device.type == "cpu" else _TOKENS
        layout = Layout(max(tokens, longest), longest, packed=self.first_position is not None)
        logits = np.empty((len(texts), len(self.names)), np.float32)
        with torch.inference_mode():
            for part in layout.to_micro_batches(np.arange(len(texts)), encoded.lengths):
                output = self.model(**batches.make(part).inputs).logits
                logits[list(part.examples)] = output.float().cpu().numpy()
        if not np.isfinite(logits).all():
            raise UserError("the model answers with what is no number: its weights are damaged")
        names = self.names
        for row in Predictions(logits, unknown).probabilities:
            best = int(row.argmax())
            yield Prediction(names[best], float(row[best]), dict(zip(names, map(float, row), strict=True)))


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def load_classifier(folder: str | Path) -> Classifier:
    """The classifier of a run folder, or of a model folder such as a run's `model/`.

    Raises:
        UserError: where there is no model.
    """
    path = Path(folder)
    path = path / "model" if (path / "model").is_dir() else path
    if not (path / "config.json").is_file():
        what = "a run that has no model yet" if (path / "recipe.yaml").is_file() else "no run and no model"
        raise UserError(f"{folder}: found {what}; expected a run folder such as runs/food, or its model folder")
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import accel_cls.models.classifier  # noqa: F401 - quiets the libraries, as in training
    from accel_cls.models.classifier import check_embeddings
    from accel_cls.models.packing import can_pack, make_packable
    from accel_cls.tokenization.pretrained import unusable
    from accel_cls.tokenization.tokenizer import check_tokenizer

    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:  # OSError, ValueError, ImportError ...: whatever the folder lacks
        raise unusable(str(path), "tokenizer", error) from error
    check_tokenizer(tokenizer, str(path))
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            path, trust_remote_code=False, weights_only=True, output_loading_info=True
        )
    except Exception as error:
        raise unusable(str(path), "model", error) from error
    if loading["missing_keys"]:
        missing = listed(sorted(loading["missing_keys"]), 5)
        raise UserError(f"{folder}: no trained classifier, its weights lack {missing}; train it first")
    ids = sorted(model.config.id2label)
    if ids != list(range(model.config.num_labels)):
        raise UserError(f"{folder}: its config.json names the classes {listed([*map(str, ids)])}; expected 0, 1, 2 …")
    if tokenizer.pad_token is None:
        raise UserError(f"{folder}: its tokenizer has no padding token")
    check_embeddings(model, tokenizer, str(path))
    # A model of another origin may have a tokenizer that knows no limit; its positions are one.
    limit = getattr(model.config, "max_position_embeddings", tokenizer.model_max_length)
    tokenizer.model_max_length = min(tokenizer.model_max_length, limit)
    first_position = make_packable(model) if can_pack(model.config) else None
    return Classifier(model.eval().to(device), tokenizer, device, first_position)


def text_columns(folder: str | Path) -> list[str]:
    """The names of the text columns that a run was trained on; ["text"] where no recipe is at hand."""
    path = Path(folder)
    for recipe in (path / "recipe.yaml", path.parent / "recipe.yaml"):
        if recipe.is_file():
            from accel_cls.recipe import load_recipe

            text = load_recipe(recipe).data.text
            return [text] if isinstance(text, str) else list(text)
    return ["text"]


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
    parser.add_argument("--out", help=f"where the predictions go: a file that ends in {', '.join(_OUTPUTS)}")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line. Returns the exit status."""
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
    if options.out and Path(options.out).suffix.lower() not in _OUTPUTS:
        raise UserError(f"--out {options.out}: expected a file that ends in {', '.join(_OUTPUTS)}")
    if options.text and options.file:
        raise UserError("--text and --file: give one of the two")
    if bool(options.pair) and len(options.pair) != len(options.text or ()):
        raise UserError(f"--pair: found {len(options.pair)} for {len(options.text or ())} --text; give one for each")
    if not options.text and not options.file and sys.stdin.isatty():
        raise UserError("nothing to classify: give --text, --file, or texts on standard input, one a line")
    with heavy_imports(names_hub=False):
        classifier = load_classifier(options.run)

    if options.file:
        from accel_cls.data.corpus import text_table
        from accel_cls.data.reading import read_table

        columns = options.column or text_columns(options.run)
        notes: list[str] = []
        (_, table), *more = read_table(options.file, columns, None, None, notes)[0]
        if more:
            raise UserError(f"--file {options.file}: found several files; give one")
        for note in notes:
            print(printable(note), file=sys.stderr)
        asked = text_table(table, columns)
        predictions = classifier.predict_table(asked)
        shown = dict(zip(columns, (asked[name] for name in asked.column_names), strict=True))
    else:
        texts = list(map(_whole, options.text or ())) or [line.rstrip("\r\n") for line in _stdin_lines()]
        predictions = iter(classifier.predict(texts, options.pair))
        shown = {"text": texts} | ({"pair": [*map(_whole, options.pair)]} if options.pair else {})

    if options.out:
        count = _write(Path(options.out), shown, predictions, classifier.names)
        print(f"{count} predictions in {options.out}", file=sys.stderr)
    elif options.text:
        _show(shown["text"], list(predictions))
    else:
        for cells, prediction in zip(zip(*shown.values(), strict=True), predictions, strict=True):
            print(json.dumps(dict(zip(shown, cells, strict=True)) | _record(prediction), ensure_ascii=False))


def _stdin_lines() -> Iterator[str]:
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")  # type: ignore[union-attr]
    return iter(sys.stdin)


def _record(prediction: Prediction) -> dict[str, Any]:
    return {
        "label": prediction.label,
        "probability": round(prediction.probability, 6),
        "probabilities": {name: round(p, 6) for name, p in prediction.probabilities.items()},
    }


def _write(out: Path, shown: dict[str, Sequence[str]], predictions: Iterator[Prediction], names: list[str]) -> int:
    """Write texts and predictions to a file by its ending; returns how many."""
    from accel_cls.atomic import write_csv, write_text

    if out.suffix.lower() == ".tsv":
        _check_tabs(out, shown, names)
    rows = list(zip(zip(*shown.values(), strict=True), predictions, strict=True))
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".jsonl":
        records = (dict(zip(shown, cells, strict=True)) | _record(prediction) for cells, prediction in rows)
        write_text(out, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    else:
        header = [*shown, "predicted", "probability", *(f"p({name})" for name in names)]
        lines = (
            [*cells, p.label, f"{p.probability:.6f}", *(f"{p.probabilities[name]:.6f}" for name in names)]
            for cells, p in rows
        )
        if out.suffix.lower() == ".csv":
            write_csv(out, header, lines)
        else:  # without quotes, as such files are read
            text = "".join("\t".join(line) + "\n" for line in chain([header], lines))
            write_text(out, text, encoding="utf-8-sig")
    return len(rows)


def _check_tabs(out: Path, shown: dict[str, Sequence[str]], names: Sequence[str]) -> None:
    """Refuse texts that a tab-separated file can't hold."""
    for name, texts in {"class": names, **shown}.items():
        for row, text in enumerate(texts, start=1):
            if any(c in text for c in "\t\n\r"):
                raise UserError(
                    f"--out {out}: {name} {row} holds a tab or a line end, as no tsv file can; choose .csv or .jsonl"
                )


def _show(texts: Sequence[str], predictions: Sequence[Prediction]) -> None:
    """A line for each text: label, probability, all probabilities, text; aligned on a terminal."""
    from rich.cells import cell_len  # a Chinese character takes two cells

    wide = max(cell_len(printable(prediction.label)) for prediction in predictions)
    for text, prediction in zip(texts, predictions, strict=True):
        label = printable(prediction.label)
        label += " " * (wide - cell_len(label))
        every = "  ".join(f"{name} {p:.4f}" for name, p in prediction.probabilities.items())
        print(f"{label}  {prediction.probability:.4f}   {printable(f'({every})   {text}')}")


if __name__ == "__main__":
    sys.exit(main())
