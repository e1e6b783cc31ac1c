"""From the command to the end of the first update, against what no command of this kind can do without."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import budget, data
from benchmarks.contestants import ours
from benchmarks.contestants.request import Request
from benchmarks.figures import Figure, ratio
from benchmarks.processes import Ended, accelerate_launch, python
from benchmarks.workshop import Workshop

_IMPORTS = "import torch, transformers; from transformers import AutoModelForSequenceClassification, AutoTokenizer"
_BASE = "imports and launcher"
_COMMANDS = 5  # which import torch or more, of six a round
_LONGEST = 512  # tokens of a text, with padding, in the Trainer's first update


@dataclass(frozen=True)
class StartCase:
    """A model, and all real reviews to be read and tokenized before the first update."""

    name: str
    title: str
    model: str
    batch: int
    classes: int = 2
    device: str = "cpu"
    kind = "startup"

    def expected_seconds(self, rounds: int, quick: bool) -> float:
        """How long it is expected to take in all; it has no less to do where it is quick."""
        update = budget.training_seconds(self.model, self.batch * _LONGEST, self.device)
        return budget.MODEL + rounds * (_COMMANDS * budget.START[self.device] + update)

    def measure(self, shop: Workshop) -> dict[str, Any]:
        """Run all in turn, as often as there are rounds."""
        rows = data.reviews()
        texts = data.write_rows(shop.place / f"{self.name}.csv", rows[64:])
        judged = data.write_rows(shop.place / f"{self.name}_judged.csv", rows[:64])
        request = Request(
            model=str(shop.model(self.model, self.classes)),
            texts=str(texts),
            result=str(shop.place / "result.json"),
            batch=self.batch,
            updates=1,
            device=self.device,
        )
        nothing = shop.place / "nothing.py"
        nothing.write_text("", encoding="utf-8")
        launch = accelerate_launch("fp32", self.device)

        def one_round(number: int) -> dict[str, dict[str, float]]:
            bare = shop.run(python(str(nothing)))
            imports = shop.run(python("-c", _IMPORTS))
            launched = shop.run([*launch, str(nothing)])
            # The launcher starts a Python, which the imports' time has in it already.
            base = imports.wall_seconds + launched.wall_seconds - bare.wall_seconds
            folder = shop.fresh("ours")
            recipe = ours.write_recipe(folder / "run.yaml", request, judged, log_every=1)
            # A start is the first one where nothing is remembered: no cache, no run folder.
            caches = {"XDG_CACHE_HOME": str(folder / "cache"), "HF_HOME": str(folder / "hub")}
            once = {
                "bare Python": _measured(bare.wall_seconds, bare),
                "imports": _measured(imports.wall_seconds, imports),
                "accelerate launch of nothing": _measured(launched.wall_seconds, launched),
                _BASE: _measured(base, imports, launched, bare),
                "accel_cls, first start": self._start(ours.training_command(launch, recipe), folder, caches, shop),
                "accel_cls, second start": self._start(ours.training_command(launch, recipe), folder, caches, shop),
                "trainer_best, until the first update begins": self._start_trainer(request, shop),
            }
            for name, one in once.items():
                shop.say(f"{self.name} {number + 1}/{shop.rounds}  {name}  {one['seconds']:.2f} s")
            return once

        found = shop.all_rounds(one_round)
        seconds_of = {name: [one["seconds"] for one in rounds] for name, rounds in found.items()}
        compared = [name for name in found if name.startswith(("accel_cls", "trainer"))]
        return {
            "name": self.name,
            "kind": self.kind,
            "title": f"{self.title}, {len(rows):,} reviews",
            "rounds": found,
            "ratios": {f"{name} / {_BASE}": ratio(seconds_of[name], seconds_of[_BASE]).record() for name in compared},
        }

    def _start(self, command: list[str], folder: Path, caches: dict[str, str], shop: Workshop) -> dict[str, float]:
        """Seconds from the command to the log's line of the first update; the run folder is dropped first."""
        shutil.rmtree(folder / "run", ignore_errors=True)
        seen: list[float] = []

        def watch() -> None:
            if not seen and ours.logged(folder / "run"):
                seen.append(time.time())

        ended = shop.run(command, env=caches, watch=watch)
        return _measured(seen[0] - ended.began, ended)

    def _start_trainer(self, request: Request, shop: Workshop) -> dict[str, float]:
        """Seconds from the command to the beginning of the Trainer's first update, by its own stopwatch.

        Not to its end: the Trainer's first batch has the longest texts, which take 20 s with e5-small in fp32. It is
        started by plain Python, which takes less time than the launcher.
        """
        file = Request(**asdict(request)).write(shop.place / "request.json")
        ended = shop.run(python("-m", "benchmarks.contestants.trainer_best", str(file)))
        begin = json.loads(Path(request.result).read_text(encoding="utf-8"))["begins"][0]
        return _measured(begin - ended.began, ended)


def _measured(seconds: float, *ended: Ended) -> dict[str, float]:
    return {"seconds": seconds, "others_cores": max(one.others_cores for one in ended)}


HEAD = ["case", "what", "seconds", "times the imports and the launcher"]


def show(record: dict[str, Any]) -> list[list[str]]:
    """The rows of a case in the table of docs/speed.md."""
    rows = []
    for number, (name, rounds) in enumerate(record["rounds"].items()):
        times = record["ratios"].get(f"{name} / {_BASE}")
        rows.append(
            [
                record["title"] if number == 0 else "",
                name,
                Figure.of([one["seconds"] for one in rounds]).show(".2f"),
                Figure.of(times["rounds"]).show(".2f") if times else "",
            ]
        )
    return rows
