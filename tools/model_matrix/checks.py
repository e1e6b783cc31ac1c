"""What is tried with a family: trainings by the real command, answers against transformers' own, texts of all kinds.

A family is right in all of it, or refused before training with a reason.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase, pipeline

from accel_cls.data.labels import Classes
from accel_cls.errors import UserError
from accel_cls.inference.classifier import Classifier
from accel_cls.inference.loading import load_classifier
from accel_cls.models.capabilities.text_limit import longest_text
from accel_cls.models.classifier import load_model
from accel_cls.recipe import load_recipe
from tools import warm
from tools.model_matrix.families import FAMILIES, write_model
from tools.model_matrix.texts import text_of, write_texts

_OWN_DROPOUT = ("diffllama", "mpt")  # whose rates can't be set: refused with the reason
_LENGTHS = (1, 3, 6, 13, 30)  # words of a text; the longest is cut to _LONGEST tokens
_LONGEST = 24
_UPDATES = 6
# Of a loss or a gradient's norm, relative: one process adds up in another order than two.
_SAME_CURVE = 2e-5
_SAME_WEIGHTS = 2e-5
# Of probabilities, of one model asked in different ways: the share of their spread over the texts, and rounding.
_SAME_ANSWER, _ROUNDING = 1e-3, 2e-6
_SMALLEST_SPREAD = 1e-4  # of the answers to different texts, or nothing is compared
_UNLIMITED_TRY = 200  # tokens that a model without a limit is given


@dataclass
class Row:
    """What came of a family."""

    family: str
    kind: str  # transformers' class
    texts: str = ""  # how they lie in a micro-batch; "refused" where they don't
    pairs: str = ""
    longest: str = ""
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Refused(Exception):
    """The family is not trained, and the user told why."""


class Examination:
    """One family in a folder of its own."""

    def __init__(self, family: str, folder: Path):
        self.row = Row(family, FAMILIES[family])
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> Row:
        """Try all; a check that fails or breaks is told in the row, and the next one tried."""
        try:
            write_model(self._folder / "model", self.row.family)
        except Exception as error:  # what the library needs else, such as detectron2
            self.row.texts = "not tried"
            self.row.notes.append(_first_line(error))
            return self.row
        for name, pairs in (("texts", False), ("pairs", True)):
            write_texts(self._folder / f"{name}.csv", 96, _LENGTHS, pairs=pairs)
            (self._folder / f"{name}.yaml").write_text(_recipe(name, pairs, self.row.family), encoding="utf-8")
        try:
            self._try("training", self._train)
        except Refused as refused:
            self.row.texts = "refused"
            self.row.notes.append(str(refused))
            return self.row
        if self.row.failures:
            return self.row
        for name, check in (
            ("two processes", self._two_processes),
            ("resume", self._resume),
            ("answers", self._answers),
            ("pipeline", self._pipeline),
            ("odd texts", self._odd_texts),
            ("dropout", self._dropout),
            ("longest text", self._longest_text),
            ("pairs", self._pairs),
        ):
            self._try(name, check)
        return self.row

    def _try(self, name: str, check: Callable[[], None]) -> None:
        try:
            check()
        except Refused:
            raise
        except Exception as error:
            self.row.failures.append(f"{name}: {_first_line(error)}")

    def _command(self, *overrides: str, recipe: str = "texts", processes: int = 1) -> CompletedProcess:
        if processes == 1:
            arguments = [f"{recipe}.yaml", *overrides]
            return warm.run("accel_cls.train", arguments, self._folder, None, {"OMP_NUM_THREADS": "1"})
        arguments = [f"{recipe}.yaml", "hardware=cpu_multi", *overrides]
        return warm.run_ranks("accel_cls.train", arguments, self._folder, processes)

    def _must(self, done: CompletedProcess) -> str:
        """What a command has printed; it must have ended well."""
        if done.returncode:
            raise AssertionError(f"status {done.returncode}: {' '.join(done.stderr.split()[-60:])}")
        return done.stdout

    def _train(self) -> None:
        done = self._command("output=one")
        if done.returncode == 2 and "Traceback" not in done.stderr:
            raise Refused(" ".join(done.stderr.split()).replace(str(self._folder / "model"), "the model"))
        printed = self._must(done)
        model = load_classifier(self._folder / "one")
        side = f"padded on the {model.padding.side}"
        self.row.texts = side if model.first_position is None else "packed"
        for line in printed.splitlines():
            note = line.strip().removeprefix("note").strip()
            if line.strip().startswith("note") and not _is_usual(note):
                self.row.notes.append(note.replace(str(self._folder / "model"), "the model"))
        losses = [one["loss"] for one in _log(self._folder / "one")]
        assert np.isfinite(losses).all(), losses

    def _two_processes(self) -> None:
        self._must(self._command("output=two", processes=2))
        one, two = (_log(self._folder / name) for name in ("one", "two"))
        assert len(one) == len(two) == _UPDATES
        for key in ("loss", "grad_norm"):
            a, b = (np.array([line[key] for line in log]) for log in (one, two))
            worst = float(np.abs(a / b - 1).max())
            assert worst < _SAME_CURVE, f"{key} off by {worst:.1e}"
        trained = {name for name, _ in load_classifier(self._folder / "one").model.named_parameters()}
        worst = _distance(self._folder / "one", self._folder / "two", trained)
        assert worst < _SAME_WEIGHTS, f"weights off by {worst:.1e}"

    def _resume(self) -> None:
        for updates in (_UPDATES // 2, _UPDATES):
            self._must(self._command("output=parts", f"train.max_updates={updates}"))
        assert _distance(self._folder / "one", self._folder / "parts") == 0, "other weights than without a stop"

    def _answers(self) -> None:
        """Alone, among others, in another order, and as transformers gives them for one text without padding."""
        texts = _texts(_LENGTHS)
        model = load_classifier(self._folder / "one")
        together = _probabilities(model, texts)
        spread = float(np.ptp(together, axis=0).max())
        assert spread > _SMALLEST_SPREAD, f"the answers are all the same ({spread:.0e})"
        order = np.random.default_rng(0).permutation(len(texts))
        _compare(together[order], _probabilities(model, [texts[i] for i in order]), "in another order")
        _compare(together, np.concatenate([_probabilities(model, [text]) for text in texts]), "alone")
        _compare(together, _plain_probabilities(self._folder / "one" / "model", texts), "by transformers")

    def _pipeline(self) -> None:
        texts = _texts(_LENGTHS)
        ask = pipeline("text-classification", model=str(self._folder / "one" / "model"), top_k=None, device="cpu")
        # Of a batch, pipeline (5.23) stumbles over the second output that XLNet and BART's line have.
        said = [{one["label"]: one["score"] for one in ask([text], truncation=True)[0]} for text in texts]
        model = load_classifier(self._folder / "one")
        _compare(
            _probabilities(model, texts), np.array([[row[n] for n in model.names] for row in said]), "by pipeline"
        )

    def _odd_texts(self) -> None:
        """An empty text, one that is cut, special tokens written out: finite, and the same among others."""
        model = load_classifier(self._folder / "one")
        tokens = [str(token) for token in model.tokenizer.all_special_tokens]
        texts = [
            "",
            " ",
            "good " * 200,
            *(f"good {token} bad" for token in tokens),
            "".join(tokens),
            "天地 \U0001f600",
        ]
        together = _probabilities(model, [*texts, *_texts(_LENGTHS)])
        _compare(together[: len(texts)], np.concatenate([_probabilities(model, [text]) for text in texts]), "alone")

    def _dropout(self) -> None:
        """Without dropout a model in training answers as it does afterwards; with it, it does not."""
        for rate in (0.0, 0.5) if self.row.family not in _OWN_DROPOUT else ():
            model, tokenizer = self._loaded(f"model.dropout={rate}")
            inputs = _inputs(tokenizer, "good food today and rude service")
            with torch.no_grad():
                torch.manual_seed(1)
                training, after = model.train()(**inputs).logits, model.eval()(**inputs).logits
            differ = float((training - after).abs().max() / after.abs().max())
            is_same = differ < 1e-5
            assert is_same == (rate == 0), f"at {rate} the answers differ by {differ:.1e}"

    def _longest_text(self) -> None:
        """The longest that is said to fit does, and what is longer is refused."""
        model, tokenizer = self._loaded()
        limit = longest_text(model)
        self.row.longest = _limit_in_words(model, limit)
        wide = _inputs(tokenizer, "good " * _UNLIMITED_TRY, limit or _UNLIMITED_TRY)
        with torch.no_grad():
            assert torch.isfinite(model.eval()(**wide).logits).all()
        if limit is None:
            return
        try:
            self._loaded(f"data.max_length={limit + 1}", "train.micro_batch_tokens=4096")
        except UserError as error:
            if str(limit) in str(error):
                return
            raise
        raise AssertionError(f"{limit + 1} tokens were not refused")

    def _pairs(self) -> None:
        self._must(self._command("output=pair", "train.max_updates=3", recipe="pairs"))
        model = load_classifier(self._folder / "pair")
        takes_types = "token_type_ids" in model.tokenizer.model_input_names
        self.row.pairs = "with token types" if takes_types else "as one text"
        texts = _texts(_LENGTHS)
        first, second = texts, texts[::-1]
        together = _probabilities(model, first, second)
        alone = [_probabilities(model, [a], [b]) for a, b in zip(first, second, strict=True)]
        _compare(together, np.concatenate(alone), "alone")
        _compare(together, _plain_probabilities(self._folder / "pair" / "model", first, second), "by transformers")

    def _loaded(self, *overrides: str) -> tuple[Any, PreTrainedTokenizerBase]:
        recipe = load_recipe(str(self._folder / "texts.yaml"), list(overrides))
        tokenizer = AutoTokenizer.from_pretrained(self._folder / "one" / "model")
        classes = Classes(("neg", "pos"), ("neg", "pos"))
        return load_model(recipe, tokenizer, classes, [], "single_label_classification"), tokenizer


def _is_usual(note: str) -> bool:
    return "start fresh" in note or "machine's cores" in note


def _recipe(name: str, pairs: bool, family: str) -> str:
    text = "text: [text, pair], " if pairs else ""
    dropout = "" if family in _OWN_DROPOUT else ", dropout: 0.1"
    return (
        f"name: {name}\noutput: {name}\n"
        f"data: {{train: {name}.csv, {text}validation: 0.25, max_length: {_LONGEST}}}\n"
        f"model: {{name: ./model{dropout}}}\n"
        f"train: {{epochs: 2, max_updates: {_UPDATES}, batch_size: 16, micro_batch_tokens: 160, min_micro_batches: 2, "
        "learning_rate: 5e-4, "
        "schedule: constant, warmup: 0, log_every: 1}\n"
        "checkpoint: {every: 3}\n"
    )


def _texts(lengths: Sequence[int]) -> list[str]:
    draw = random.Random(1)
    return [text_of(words, bool(i % 2), draw) for i, words in enumerate([*lengths, *lengths])]


def _log(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for line in lines if "grad_norm" in (record := json.loads(line))]


def _distance(a: Path, b: Path, names: Container[str] | None = None) -> float:
    """The largest difference of two runs' newest weights, of those names; None: of all, and of what else is saved."""
    first, second = (_newest_weights(run) for run in (a, b))
    assert first.keys() == second.keys()
    compared = [name for name in first if names is None or name in names]
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in compared)


def _newest_weights(run: Path) -> dict[str, torch.Tensor]:
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name.rpartition("-")[2]))
    return load_file(newest / "model.safetensors")


def _inputs(tokenizer: PreTrainedTokenizerBase, text: str, longest: int = _LONGEST) -> dict[str, torch.Tensor]:
    return dict(tokenizer(text, truncation=True, max_length=longest, return_tensors="pt"))


def _probabilities(model: Classifier, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
    return np.array([[*one.probabilities.values()] for one in model.predict(texts, pairs)])


def _plain_probabilities(folder: Path, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
    """Those of transformers' own classes, text by text, so that there is no padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = []
    with torch.no_grad():
        for i, text in enumerate(texts):
            pair = None if pairs is None else pairs[i]
            encoded = tokenizer(text, pair, truncation=True, return_tensors="pt")
            rows.append(model(**encoded).logits.softmax(-1).squeeze(0).numpy())
    return np.array(rows)


def _compare(a: np.ndarray, b: np.ndarray, how: str) -> None:
    assert np.isfinite(a).all() and np.isfinite(b).all(), f"no finite probabilities {how}"  # noqa: PT018
    worst, allowed = float(np.abs(a - b).max()), _SAME_ANSWER * float(np.ptp(a, axis=0).max()) + _ROUNDING
    assert worst < allowed, f"other answers {how}: off by {worst:.1e}"


def _limit_in_words(model: Any, limit: int | None) -> str:
    if limit is None:
        return "any"
    key = "max_seq_len" if hasattr(model.config, "max_seq_len") else "max_position_embeddings"
    text_config = model.config.get_text_config()
    return key if (less := getattr(text_config, key) - limit) == 0 else f"{key} − {less}"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = "" if isinstance(error, AssertionError | UserError) else f"{type(error).__name__}: "
    return kind + (lines[0] if lines else "no reason given")[:300]


warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
