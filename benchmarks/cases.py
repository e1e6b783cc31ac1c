"""All cases, by their names."""

from __future__ import annotations

from benchmarks.prediction import PredictionCase
from benchmarks.startup import StartCase
from benchmarks.tokenizing import TokenizingCase
from benchmarks.training import TrainingCase, entrants

Case = TrainingCase | PredictionCase | StartCase | TokenizingCase

_BF16 = entrants("trainer_best bf16", "accel_cls bf16")
_BOTH = entrants("trainer_best bf16", "accel_cls bf16", "trainer_best fp32", "accel_cls fp32")
# On a CPU the Trainer is fastest with eight long texts at a time; 32 of these need 22 GB, and 64 more than 24 GiB.
_FULL = entrants("tutorial fp32", "trainer_best bf16 in 2", "accel_cls bf16", "accel_cls fp32")
_IN_2, _IN_4, _IN_8 = (entrants(f"trainer_best bf16 in {parts}", "accel_cls bf16") for parts in (2, 4, 8))

_TRAINING = (
    TrainingCase("bert-16", "BERT-base, reviews, 16 an update", "bert-base", "reviews", 16, _FULL),
    TrainingCase("bert-32", "BERT-base, reviews, 32 an update", "bert-base", "reviews", 32, _IN_4),
    TrainingCase("bert-64", "BERT-base, reviews, 64 an update", "bert-base", "reviews", 64, _IN_8),
    TrainingCase("bert-titles", "BERT-base, news titles, 16 an update", "bert-base", "titles", 16, _BF16, classes=10),
    TrainingCase("bert-mixed", "BERT-base, long and short, 16 an update", "bert-base", "mixed", 16, _IN_2),
    TrainingCase("tiny", "BERT 2×128, reviews, 32 an update", "bert-tiny", "reviews", 32, _BOTH, groups=4),
    TrainingCase("e5", "e5-small, reviews, 16 an update", "e5-small", "reviews", 16, _BOTH),
)

_PREDICTION = (
    PredictionCase("predict-bert", "BERT-base", "bert-base", 1_200),
    PredictionCase("predict-e5", "e5-small", "e5-small", 3_000),
    PredictionCase("predict-tiny", "BERT 2×128", "bert-tiny", 11_987),
)

_START = (
    StartCase("start-tiny", "BERT 2×128", "bert-tiny", 32),
    StartCase("start-e5", "e5-small", "e5-small", 16),
)

_TOKENIZING = (TokenizingCase("tokenize", "short texts, the tokenizer of BERT-base", "bert-base", 1_000_000),)

# By tokens of a text: texts an update, 8,192 to 16,384 tokens, so that a GPU is busy.
_GPU_BATCH = {32: 256, 128: 128, 512: 32}

_GPU = tuple(
    TrainingCase(
        f"gpu-{size}-{length}",
        f"BERT-{size}, texts of {length} tokens, {batch} an update",
        f"bert-{size}",
        f"even{length}",
        batch,
        _BF16,
        device="cuda",
    )
    for size in ("base", "large")
    for length, batch in _GPU_BATCH.items()
)

_ALL_CASES: tuple[Case, ...] = (*_TRAINING, *_PREDICTION, *_START, *_TOKENIZING, *_GPU)
CASES = {case.name: case for case in _ALL_CASES}
