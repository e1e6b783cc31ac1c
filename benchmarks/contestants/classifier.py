"""accel_cls' classifier over texts, from the loaded model to all results: what accel_cls.predict has inside."""

from __future__ import annotations

import time

from accel_cls.inference.loading import load_classifier
from benchmarks.contestants import device
from benchmarks.contestants.request import from_command_line


def main() -> None:
    """Classify as the request says."""
    request = from_command_line()
    texts, _ = request.read_texts()
    classifier = load_classifier(request.model)
    classifier.predict(request.warm_up(texts))
    began = time.perf_counter()
    found = classifier.predict(texts)
    seconds = time.perf_counter() - began
    names = sorted(classifier.names)
    request.answer(
        {
            "seconds": seconds,
            "device_peak_bytes": device.peak_bytes(),
            "probabilities": [[one.probabilities[name] for name in names] for one in found],
        }
    )


if __name__ == "__main__":
    main()
