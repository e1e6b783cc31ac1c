"""What a run has left, read back; and a finished run made to look as if it had been killed."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def results_of(run: Path) -> dict:
    """What a finished run says of itself."""
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def numbers(record: dict) -> list[float]:
    values = record.get("evaluation") or {key: record[key] for key in ("loss", "learning_rate")}
    return list(values.values())


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def weights_of(path: Path) -> dict[str, str]:
    from safetensors.torch import load_file

    return {name: hashlib.sha256(t.numpy().tobytes()).hexdigest() for name, t in load_file(path).items()}


def interrupt(run: Path, update: int) -> None:
    """Make a finished run look as if it had been killed some time after its checkpoint at `update`."""
    (run / "results.json").unlink()
    for checkpoint in (run / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("update-")) > update:
            shutil.rmtree(checkpoint)
