"""accel_cls as a user starts it: `accelerate launch … -m accel_cls.train`, its defaults but for what is named here.

The harness speaks to accel_cls through commands and the run folder. Two things no command tells, and two small
functions ask the package for them: what was in an update (`work_of_updates`), and how fast texts become tokens
(`encode_all`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contestants.request import Request

if TYPE_CHECKING:
    from benchmarks.floor import Work

_NEVER = 1_000_000  # updates: evaluation and checkpoint come at the end alone


def told_precision(output: str) -> str | None:
    """What the command that `accel-cls new` tells has of the precision; None where it has nothing."""
    _, flag, rest = output.partition("--mixed_precision ")
    return rest.split()[0] if flag else None


def write_recipe(path: Path, request: Request, validation: Path, **train: int) -> Path:
    """A recipe of what the request asks for, and nothing else; all the other values are accel_cls' defaults."""
    recipe = {
        "name": path.stem,
        "seed": request.seed,
        "output": str(path.with_suffix("")),
        "data": {
            "train": request.texts,
            "validation": str(validation),
            "max_length": request.max_length,
            "invalid": "drop",
        },
        "model": {"name": request.model},
        "train": {
            "epochs": 3,
            "max_updates": request.updates,
            "batch_size": request.batch,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            **train,
        },
        "evaluate": {"every": _NEVER},
        "checkpoint": {"every": _NEVER},
    }
    path.write_text(json.dumps(recipe, indent=2), encoding="utf-8")  # JSON is YAML, too
    return path


def training_command(launch: Sequence[str], recipe: Path, *overrides: str) -> list[str]:
    """The command that trains a recipe."""
    return [*launch, "-m", "accel_cls.train", str(recipe), *overrides]


def logged(run: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics.jsonl so far."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def results(run: Path) -> dict[str, Any]:
    """The results.json of a finished run."""
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def device_peak_bytes(run: Path) -> int | None:
    """The most memory of a GPU that a finished run had, by its results.json; None on a CPU."""
    return results(run)["device_peak_bytes"]


def speeds(run: Path) -> list[float]:
    """Texts a second in each window of metrics.jsonl."""
    return [record["examples_per_second"] for record in logged(run) if "examples_per_second" in record]


def seconds_of_updates(records: Sequence[dict[str, Any]], first: int, last: int, batch: int) -> float:
    """Seconds that the updates after `first` up to `last` took, by the windows of metrics.jsonl."""
    windows = [r for r in records if "examples_per_second" in r and first <= r["update"] <= last]
    ends = [r["update"] for r in windows]
    if not ends or ends[0] != first or ends[-1] != last:
        raise ValueError(f"metrics.jsonl has windows that end with updates {ends}, not from {first} to {last}")
    return sum(
        (window["update"] - before["update"]) * batch / window["examples_per_second"]
        for before, window in itertools.pairwise(windows)
    )


def work_of_updates(run: Path, first: int, last: int) -> Work:
    """What the updates after `first` up to `last` of a run went through, by the plan of its recipe."""
    from accel_cls.batching.plan import Plan
    from accel_cls.data.loading import load_corpus
    from accel_cls.recipe import load_recipe
    from accel_cls.tasks import task_of
    from accel_cls.tokenization.encode import encode
    from accel_cls.tokenization.tokenizer import load_tokenizer
    from benchmarks.floor import Work

    recipe = load_recipe(run / "recipe.yaml")
    corpus = load_corpus(recipe, task_of(recipe))
    lengths = encode(load_tokenizer(recipe, corpus.train), corpus.train.texts, recipe.data.max_length).lengths
    plan = Plan.of(recipe, lengths)
    chosen = [int(lengths[i]) for update in range(first, last) for i in plan.examples(update)]
    return Work(len(chosen), sum(chosen), sum(length * length for length in chosen))


def encode_all(tokenizer: Any, texts: Sequence[str], max_length: int) -> int:
    """Tokenize texts as a training does; returns how many tokens there are."""
    from accel_cls.data.texts import Texts
    from accel_cls.tokenization.encode import encode

    return len(encode(tokenizer, Texts.of({"text": list(texts)}), max_length).ids)


def main() -> None:
    """Write the work of some updates as JSON: `python -m benchmarks.contestants.ours RUN FIRST LAST RESULT`."""
    import sys
    from dataclasses import asdict

    run, first, last, result = sys.argv[1:]
    work = work_of_updates(Path(run), int(first), int(last))
    Path(result).write_text(json.dumps(asdict(work)), encoding="utf-8")


if __name__ == "__main__":
    main()
