"""All cases, by their names."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from benchmarks import data
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

# The Trainer both ways: compiling is worth it for some shapes only.
_GPU_ENTRANTS = entrants("trainer_best bf16", "trainer_best bf16 compiled", "accel_cls bf16")


def _on_gpu(
    name: str, title: str, model: str, texts: str, batch: int, groups: int = 1, classes: int = 2
) -> TrainingCase:
    return TrainingCase(f"gpu-{name}", title, model, texts, batch, _GPU_ENTRANTS, classes, groups, device="cuda")


# Two of the Trainer's groups are counted, four where updates are short. Of 256 reviews there are no more than two
# after the two that are not counted: 20 updates, 5,120 texts.
_GPU_SHORT = (
    *(
        _on_gpu(f"base-reviews-{batch}", f"BERT-base, reviews, {batch} an update", "bert-base", "reviews", batch, 2)
        for batch in (16, 64, 256)
    ),
    _on_gpu("base-titles-16", "BERT-base, news titles, 16 an update", "bert-base", "titles", 16, 2, classes=10),
    _on_gpu("base-mixed-16", "BERT-base, long and short, 16 an update", "bert-base", "mixed", 16, 2),
    _on_gpu("tiny-reviews-32", "BERT 2×128, reviews, 32 an update", "bert-tiny", "reviews", 32, 4),
    _on_gpu("e5-reviews-16", "e5-small, reviews, 16 an update", "e5-small", "reviews", 16, 2),
)

# By tokens of a text: texts an update, 8,192 to 16,384 tokens, so that a GPU is busy.
_GPU_BATCH = {32: 256, 128: 128, 512: 32}

_GPU_EVEN = tuple(
    _on_gpu(
        f"{size}-even-{length}",
        f"BERT-{size}, texts of {length} tokens, {batch} an update",
        f"bert-{size}",
        f"even{length}",
        batch,
    )
    for size in ("base", "large")
    for length, batch in _GPU_BATCH.items()
)

_GPU_PREDICTION = (
    PredictionCase("gpu-predict-base", "BERT-base", "bert-base", 11_987, device="cuda"),
    PredictionCase("gpu-predict-e5", "e5-small", "e5-small", 11_987, device="cuda"),
    PredictionCase("gpu-predict-tiny", "BERT 2×128", "bert-tiny", 11_987, device="cuda"),
)

_ALL_CASES: tuple[Case, ...] = (
    *_TRAINING,
    *_PREDICTION,
    *_START,
    *_TOKENIZING,
    *_GPU_SHORT,
    *_GPU_EVEN,
    *_GPU_PREDICTION,
)
CASES = {case.name: case for case in _ALL_CASES}


def named(patterns: Sequence[str]) -> list[str]:
    """The names of the cases that are asked for, each once: names, or patterns such as gpu-*.

    Raises:
        ValueError: where no case has such a name.
    """
    found = {pattern: fnmatch.filter(CASES, pattern) for pattern in patterns}
    unknown = [pattern for pattern, names in found.items() if not names]
    if unknown:
        raise ValueError(f"no such case: {', '.join(unknown)}")
    return list(dict.fromkeys(name for names in found.values() for name in names))


def obstacle(case: Case, gpu: str | None) -> str | None:
    """Why a case can't be measured here, on this GPU or on none, with the data there are; None where it can."""
    if case.device == "cuda" and gpu is None:
        return "needs a CUDA device, and there is none here"
    try:
        if case.kind == "tokenizing" or (isinstance(case, TrainingCase) and case.texts == "titles"):
            data.titles()
        if case.model == "e5-small":
            data.encoder()
    except data.NoRealData as lacking:
        return str(lacking)
    return None
