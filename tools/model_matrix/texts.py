"""Texts of few words, some of which tell their label."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tools.model_matrix.tokenizers import BAD, FILL, GOOD


def text_of(words: int, good: bool, draw: random.Random) -> str:
    """A text of so many words; some of them tell whether it is good."""
    text = [draw.choice(FILL) for _ in range(words)]
    for _ in range(1 + words // 4):
        text[draw.randrange(words)] = draw.choice(GOOD if good else BAD)
    return " ".join(text)


def write_texts(path: Path, count: int, words: Sequence[int], seed: int = 0, pairs: bool = False) -> None:
    """Write a csv of labelled texts, or pairs of texts: columns text (and pair) and label, of pos and neg."""
    draw = random.Random(seed)
    lines = ["text,pair,label" if pairs else "text,label"]
    for i in range(count):
        cells = [text_of(draw.choice(words), bool(i % 2), draw) for _ in range(1 + pairs)]
        lines.append(",".join([*cells, "pos" if i % 2 else "neg"]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
