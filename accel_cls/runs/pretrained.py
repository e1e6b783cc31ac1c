"""What a pre-trained encoder's folder tells of the texts that it was trained on: files beside its weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from accel_cls.atomic import json_text
from accel_cls.data.examples import Examples
from accel_cls.errors import UserError

_FACTS, _TEXTS = "pretraining.json", "pretraining_texts.npy"


@dataclass(frozen=True)
class Pretrained:
    """What is told for people."""

    name: str  # of the pre-training
    judged: bool  # its recipe wanted the texts that its classifier is judged by, too
    loss: float  # on held-out texts
    perplexity: float
    texts: int = 0  # different ones that were learned


def write_pretrained(folder: Path, known: Pretrained, learned: Examples) -> None:
    """Write them: of each different text 8 bytes of its digest, by which it is known again."""
    digests = np.unique(_digests(learned))
    np.save(folder / _TEXTS, digests)
    (folder / _FACTS).write_text(json_text(asdict(known) | {"texts": len(digests)}) + "\n", encoding="utf-8")


def read_pretrained(folder: Path) -> Pretrained | None:
    """What a model's folder tells; None where it was not pre-trained here.

    Raises:
        UserError: for a file that is not as it was written.
    """
    path = folder / _FACTS
    if not path.is_file():
        return None
    try:
        return Pretrained(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"model.name: {path} is damaged ({error}); remove it, or pre-train again") from error


def count_learned(folder: Path, examples: Examples) -> int:
    """How many of some examples' texts were among those learned.

    Raises:
        UserError: for a file that is not as it was written.
    """
    try:
        known = np.load(folder / _TEXTS)
    except (OSError, ValueError) as error:
        raise UserError(f"model.name: {folder / _TEXTS} can't be read ({error}); pre-train again") from error
    return int(np.isin(_digests(examples), known).sum())


def _digests(examples: Examples) -> np.ndarray:
    texts = ("\0".join(cells).encode("utf-8", "surrogatepass") for cells in examples.texts.cells())
    found = (hashlib.blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(found), np.uint64)
