"""Classifying many texts, and the evaluation inside a training, side by side; in fp32 where nothing else is said."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import budget, data
from benchmarks.contestants import ours
from benchmarks.contestants.request import Request
from benchmarks.figures import Figure, ratio, show_memory
from benchmarks.floor import Work, forward_flop
from benchmarks.models import SHAPES
from benchmarks.processes import Ended, accelerate_launch, python
from benchmarks.workshop import Workshop

_QUICK = 128  # texts
_BATCH = 32  # of pipeline and Trainer.evaluate

# What is measured, and by whose time a ratio is taken.
_PAIRS = (
    ("accel_cls classifier", "pipeline"),
    ("accel_cls classifier", "pipeline, sorted"),
    ("accel_cls.predict, whole command", "pipeline, whole command"),
    ("accel_cls.predict, whole command", "pipeline, sorted, whole command"),
    ("accel_cls evaluation", "Trainer.evaluate"),
    ("accel_cls evaluation", "pipeline"),
    ("accel_cls classifier", "pipeline bf16"),
    ("accel_cls classifier", "pipeline bf16, sorted"),
)
# How often the texts go through the model in a round, in units of one pass without padding: pipeline in the texts' own
# order and Trainer.evaluate take 4.3 of them, sorted 1.4, accel_cls three times 1.1; pipeline in bf16 as much again.
_PASSES = {"cpu": 13.3, "cuda": 19.0}
_CONTESTANTS = {"cpu": 6, "cuda": 8}  # processes a round


@dataclass(frozen=True)
class PredictionCase:
    """A model and so many real reviews."""

    name: str
    title: str
    model: str
    count: int
    classes: int = 2
    device: str = "cpu"
    kind = "prediction"

    def expected_seconds(self, rounds: int, quick: bool) -> float:
        """How long it is expected to take in all."""
        count = _QUICK if quick else self.count
        # A pass forward is a third of a training's; in fp32 a GPU takes three times as long as in bf16.
        share = 1 if self.device == "cuda" else 1 / 3
        once = budget.training_seconds(self.model, count * budget.tokens_of("reviews"), self.device) * share
        each = budget.START[self.device] + count * budget.CLASSIFYING
        return budget.MODEL + budget.PEAK + rounds * (_PASSES[self.device] * once + _CONTESTANTS[self.device] * each)

    def measure(self, shop: Workshop) -> dict[str, Any]:
        """Run all in turn, as often as there are rounds."""
        rows = data.reviews()[: _QUICK if shop.quick else self.count]
        texts = data.write_rows(shop.place / f"{self.name}.csv", rows)
        request = Request(
            model=str(shop.model(self.model, self.classes)),
            texts=str(texts),
            result=str(shop.place / "result.json"),
            batch=_BATCH,
            device=self.device,
        )
        work = self._work(request, shop)
        peak = shop.peak(self.model, self.classes, "fp32", self.device)
        difference = 0.0

        def one_round(number: int) -> dict[str, dict[str, Any]]:
            nonlocal difference
            measured, apart = self._round(request, shop)
            difference = max(difference, apart)
            for name, one in measured.items():
                shop.say(f"{self.name} {number + 1}/{shop.rounds}  {name}  {len(rows) / one['seconds']:.4g} texts/s")
            return measured

        found = shop.all_rounds(one_round)
        seconds = {name: [one["seconds"] for one in rounds] for name, rounds in found.items()}
        return {
            "name": self.name,
            "kind": self.kind,
            "title": f"{self.title}, {len(rows):,} reviews",
            "count": len(rows),
            "device": self.device,
            "work": asdict(work),
            "floor_seconds": forward_flop(SHAPES[self.model], work, self.classes) / peak["flop_per_second"],
            "largest_difference": difference,  # of probabilities, ours against the pipeline's
            "rounds": found,
            "ratios": {f"{a} / {b}": ratio(seconds[b], seconds[a]).record() for a, b in _PAIRS if b in seconds},
        }

    def _round(self, request: Request, shop: Workshop) -> tuple[dict[str, dict[str, Any]], float]:
        found: dict[str, dict[str, Any]] = {}
        answers = []

        def contestant(name: str, module: str, *options: str, precision: str = "fp32", whole: bool = False) -> None:
            file = replace(request, precision=precision).write(shop.place / "request.json")
            ended = shop.run(python("-m", f"benchmarks.contestants.{module}", str(file), *options))
            answer = json.loads(Path(request.result).read_text(encoding="utf-8"))
            found[name] = _measured(answer["seconds"], ended, answer["device_peak_bytes"])
            if whole:
                found[f"{name}, whole command"] = _measured(ended.wall_seconds, ended, answer["device_peak_bytes"])
            answers.append(answer.get("probabilities"))

        contestant("accel_cls classifier", "classifier")
        contestant("pipeline", "pipeline", whole=True)
        contestant("pipeline, sorted", "pipeline", "sorted", whole=True)
        if self.device == "cuda":
            contestant("pipeline bf16", "pipeline", precision="bf16")
            contestant("pipeline bf16, sorted", "pipeline", "sorted", precision="bf16")
        command = [
            "-m",
            "accel_cls.predict",
            request.model,
            "--file",
            request.texts,
            "--out",
            f"{shop.place}/ours.csv",
        ]
        ended = shop.run(python(*command), env=shop.caches)
        found["accel_cls.predict, whole command"] = _measured(ended.wall_seconds, ended)
        found["accel_cls evaluation"] = self._evaluation(request, shop)
        pairs = zip(answers[0], answers[1], strict=True)
        apart = max(abs(a - b) for mine, other in pairs for a, b in zip(mine, other, strict=True))
        contestant("Trainer.evaluate", "trainer_evaluate")
        return found, apart

    def _evaluation(self, request: Request, shop: Workshop) -> dict[str, Any]:
        """Seconds from the log's line of the second update to that of the evaluation after it.

        The second, since with the first one the library of the metrics is imported. The scores' own milliseconds are
        in it; saving the model is not.
        """
        folder = shop.fresh("ours")
        rows = data.reviews()
        learned = data.write_rows(folder / "learned.csv", rows[-64:])
        training = replace(request, texts=str(learned), updates=2)
        recipe = ours.write_recipe(folder / "run.yaml", training, Path(request.texts), log_every=1)
        lines: list[float] = []

        def watch() -> None:
            while len(lines) < len(ours.logged(folder / "run")):
                lines.append(time.perf_counter())

        command = ours.training_command(accelerate_launch("fp32", self.device), recipe, "evaluate.every=1")
        ended = shop.run(command, env=shop.caches, watch=watch)
        watch()
        kinds = ["evaluation" in record for record in ours.logged(folder / "run")]
        if kinds != [False, True, False, True]:
            raise ValueError(f"metrics.jsonl: expected two updates, each evaluated; found {kinds}")
        return _measured(lines[3] - lines[2], ended, ours.device_peak_bytes(folder / "run"))

    def _work(self, request: Request, shop: Workshop) -> Work:
        shop.run(python("-m", "benchmarks.lengths", request.model, request.texts, request.result))
        return Work(**json.loads(Path(request.result).read_text(encoding="utf-8")))


def _measured(seconds: float, ended: Ended, device_peak_bytes: int | None = None) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "peak_bytes": ended.peak_bytes,
        "device_peak_bytes": device_peak_bytes,
        "others_cores": ended.others_cores,
    }


HEAD = ["case", "what", "seconds", "texts/s", "of the floor's speed", "peak memory", "times as fast as"]


def show(record: dict[str, Any]) -> list[list[str]]:
    """The rows of a case in the table of docs/speed.md."""
    rows = []
    for number, (name, rounds) in enumerate(record["rounds"].items()):
        seconds = Figure.of([one["seconds"] for one in rounds])
        pairs = [(*pair.split(" / "), Figure.of(value["rounds"])) for pair, value in record["ratios"].items()]
        rows.append(
            [
                record["title"] if number == 0 else "",
                name,
                seconds.show(),
                Figure.of([record["count"] / one for one in seconds.rounds]).show(),
                Figure.of([record["floor_seconds"] / one for one in seconds.rounds]).show(".1f", 100, " %"),
                show_memory(rounds, record.get("device", "cpu")),
                ", ".join(f"{other}: **{value.show('.2f')}**" for mine, other, value in pairs if mine == name),
            ]
        )
    return rows
