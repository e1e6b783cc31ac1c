"""What memory is reckoned for: a minute model, as an outline too, and the ways to train it."""

from __future__ import annotations

import torch
from transformers import AutoModelForSequenceClassification

from accel_cls.memory.setup import ParallelSetup

TINY = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def on_meta(config):
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config)


def setup_of(strategy: str, processes: int = 1, precision: str = "no") -> ParallelSetup:
    return ParallelSetup(torch.device("cpu"), strategy, processes, processes, precision)
