"""transformers' pipeline over texts, 32 at a time; also with the texts sorted by length, as a careful user would.

python -m benchmarks.contestants.pipeline REQUEST.json [sorted]
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

from transformers import pipeline

from benchmarks.contestants import device
from benchmarks.contestants.request import from_command_line


def main() -> None:
    """Classify as the request says; write the probabilities beside the result, as accel_cls.predict writes a file."""
    request = from_command_line()
    texts, _ = request.read_texts()
    classify = pipeline(
        "text-classification",
        model=request.model,
        device=request.device,
        batch_size=request.batch,
        top_k=None,
        dtype={"fp32": "float32", "bf16": "bfloat16"}[request.precision],
    )
    first = request.warm_up(texts)
    if first:
        classify(first, truncation=True, max_length=request.max_length)
    began = time.perf_counter()
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i])) if "sorted" in sys.argv else range(len(texts))
    answers = classify([texts[i] for i in order], truncation=True, max_length=request.max_length)
    scores: list[dict[str, float]] = [{}] * len(texts)
    for i, answer in zip(order, answers, strict=True):
        scores[i] = {one["label"]: one["score"] for one in answer}
    seconds = time.perf_counter() - began
    names = sorted(scores[0])
    with open(Path(request.result).with_suffix(".csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", *names])
        writer.writerows([text, *(score[name] for name in names)] for text, score in zip(texts, scores, strict=True))
    probabilities = [[score[name] for name in names] for score in scores]
    request.answer({"seconds": seconds, "device_peak_bytes": device.peak_bytes(), "probabilities": probabilities})


if __name__ == "__main__":
    main()
