"""The models of the cases, as folders that both sides load: random weights of a known shape, or real ones.

    python -m benchmarks.models FOLDER NAME CLASSES

A process of its own: the harness never imports torch, since a process that is started inherits the peak memory of the
one that starts it.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data


@dataclass(frozen=True)
class Shape:
    """An encoder's sizes, from which the floor follows."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int
    positions: int = 512
    dropout: float = 0.1

    @property
    def layer_weights(self) -> int:
        """Weights of all matrices that every token is multiplied by: 4 h² for attention, 8 h² for the two of 4 h."""
        return self.layers * 12 * self.hidden**2

    def head_weights(self, classes: int) -> int:
        """Weights of the matrices that a text's first token alone is multiplied by: pooler and classifier."""
        return self.hidden**2 + self.hidden * classes


SHAPES = {
    "bert-base": Shape(layers=12, hidden=768, heads=12, vocabulary=21128),  # as bert-base-chinese
    "bert-large": Shape(layers=24, hidden=1024, heads=16, vocabulary=21128),
    "bert-tiny": Shape(layers=2, hidden=128, heads=4, vocabulary=5000, dropout=0.3),  # as recipes/food.yaml
    "e5-small": Shape(layers=12, hidden=384, heads=12, vocabulary=33189),  # real weights, from the real data's folder
}


def make_model(folder: Path, name: str, classes: int) -> None:
    """Save a classifier in fp32 and its tokenizer; random weights are the same in each process."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertTokenizer

    shape = SHAPES[name]
    torch.manual_seed(0)
    if name == "e5-small":
        real = data.encoder()
        AutoTokenizer.from_pretrained(real).save_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(real, num_labels=classes, dtype=torch.float32)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.txt").write_text("\n".join(characters(shape.vocabulary)) + "\n", encoding="utf-8")
        tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"), model_max_length=shape.positions)
        tokenizer.save_pretrained(folder)
        config = BertConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=4 * shape.hidden,
            max_position_embeddings=shape.positions,
            hidden_dropout_prob=shape.dropout,
            attention_probs_dropout_prob=shape.dropout,
            num_labels=classes,
            pad_token_id=tokenizer.pad_token_id,
        )
        model = AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(folder)


def characters(most: int) -> list[str]:
    """A vocabulary of the characters of the texts, the most frequent first; ASCII ones also inside words.

    Of reviews and titles; of reviews alone, where there are no titles.
    """
    rows = [*data.reviews(), *(data.titles() if data.has_titles() else ())]
    counts = Counter(c for text, _ in rows for c in text.lower() if not c.isspace())
    ranked = sorted(counts, key=lambda c: (-counts[c], c))
    inside = [f"##{c}" for c in ranked if c.isascii() and c.isalnum()]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *inside, *ranked][:most]


if __name__ == "__main__":
    make_model(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
