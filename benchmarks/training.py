"""Trainings side by side: texts a second once they are under way, memory, the time in all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.contestants import ours
from benchmarks.contestants.request import Request
from benchmarks.figures import Figure, ratio
from benchmarks.floor import Work, training_floor, training_flop
from benchmarks.models import SHAPES
from benchmarks.processes import accelerate_launch, python, run
from benchmarks.workshop import Workshop

_WARM = 10  # updates that are not counted: the first ones allocate memory and compile
# The Trainer sorts so many batches by length, longest first, and goes on to the next ones. A window of so many updates
# in a row, wherever it begins, has each length as often as the data have it.
_GROUP = 50
_TUTORIAL = (1, 4)  # warm and counted updates: each takes half a minute here, and all are alike, padded to 512
_JUDGED = 32  # texts that accel_cls judges at the end, outside of what is measured


@dataclass(frozen=True)
class Entrant:
    """A contestant in a precision."""

    contestant: str  # accel_cls, trainer_best or tutorial
    precision: str
    parts: int = 1  # in which a Trainer takes the texts of an update

    def __str__(self) -> str:
        return f"{self.contestant} {self.precision}{f' in {self.parts}' if self.parts > 1 else ''}"


@dataclass(frozen=True)
class Window:
    """Which updates are counted, of how many training texts."""

    rows: int  # texts in the training file
    warm: int
    counted: int

    @classmethod
    def of(cls, rows: int, batch: int, groups: int, quick: bool) -> Window:
        """A window of whole groups of the Trainer's, which makes them of a quarter of the texts at most."""
        step = 5 if quick else _WARM
        group = min(rows // (4 * batch), step if quick else _GROUP) // step * step
        if group == 0:
            raise ValueError(f"{rows} texts are too few for updates of {batch}")
        rows = min(rows, 4 * group * batch) if group < _GROUP else rows
        return cls(rows, step, group * (1 if quick else groups))


@dataclass(frozen=True)
class TrainingCase:
    """A model, texts and a size of updates."""

    name: str
    title: str
    model: str  # of SHAPES
    texts: str  # a function of data.py; or evenN, texts of N tokens
    batch: int
    entrants: tuple[Entrant, ...]
    classes: int = 2
    groups: int = 1  # how many of the Trainer's groups of updates are counted
    device: str = "cpu"
    kind = "training"

    def measure(self, shop: Workshop) -> dict[str, Any]:
        """Run all entrants in turn, as often as there are rounds."""
        rows = self._rows()
        window = Window.of(len(rows), self.batch, self.groups, shop.quick)
        texts = data.write_rows(shop.place / f"{self.name}.csv", rows[: window.rows])
        judged = data.write_rows(shop.place / f"{self.name}_judged.csv", _every_class(rows, _JUDGED))
        model = shop.model(self.model, self.classes)
        entrants = self._fit_for(shop.fast_bf16 or self.device != "cpu")
        found: dict[str, list[dict[str, Any]]] = {str(entrant): [] for entrant in entrants}
        for number in range(shop.rounds):
            for entrant in entrants:
                # Other texts in each round, so that the spread has the luck of the draw in it.
                request = Request(
                    model=str(model),
                    texts=str(texts),
                    result=str(shop.place / "result.json"),
                    batch=self.batch,
                    parts=entrant.parts,
                    precision=entrant.precision,
                    seed=42 + number,
                    device=self.device,
                )
                measured = self._once(entrant, request, judged, window, shop)
                found[str(entrant)].append(measured)
                shop.say(f"{self.name} {number + 1}/{shop.rounds}  {entrant}  {_line(measured)}")
        return {
            "name": self.name,
            "kind": self.kind,
            "title": self.title,
            "model": self.model,
            "texts": self.texts,
            "batch": self.batch,
            "device": self.device,
            "window": asdict(window),
            "rounds": found,
            "ratios": ratios(found),
        }

    def _fit_for(self, fast_bf16: bool) -> tuple[Entrant, ...]:
        """The entrants; in fp32 those in bf16, where the machine has no instructions for that: it would be slower."""
        if fast_bf16:
            return self.entrants
        return tuple(dict.fromkeys(replace(entrant, precision="fp32") for entrant in self.entrants))

    def _rows(self) -> data.Rows:
        if self.texts.startswith("even"):
            return data.even(int(self.texts.removeprefix("even")) - 2, 6 * _GROUP * self.batch)
        return getattr(data, self.texts)()

    def _once(
        self, entrant: Entrant, request: Request, judged: Path, window: Window, shop: Workshop
    ) -> dict[str, Any]:
        warm, counted = window.warm, window.counted
        if entrant.contestant == "tutorial":
            warm, counted = (1, 1) if shop.quick else _TUTORIAL
        request = Request(**{**asdict(request), "updates": warm + counted})
        if entrant.contestant == "accel_cls":
            seconds, work, ended = _train_ours(request, judged, warm, shop)
        else:
            command = python("-m", f"benchmarks.contestants.{entrant.contestant}")
            ended = run([*command, str(request.write(shop.place / "request.json"))])
            seconds, work = read_stopwatch(json.loads(Path(request.result).read_text(encoding="utf-8")), warm)
        peak = shop.peak(self.model, self.classes, entrant.precision, self.device)
        flop = training_flop(SHAPES[self.model], work, self.classes)
        floor = training_floor(flop, peak["flop_per_second"], counted, peak["optimizer_seconds"])
        return {
            "examples_per_second": work.examples / seconds,
            "tokens_per_second": work.tokens / seconds,
            "floor_share": floor / seconds,
            "flop_share": flop / peak["flop_per_second"] / seconds,
            "peak_bytes": ended.peak_bytes,
            "wall_seconds": ended.wall_seconds,
            "others_cores": ended.others_cores,
            "seconds": seconds,
            "work": asdict(work),
        }


def _train_ours(request: Request, judged: Path, warm: int, shop: Workshop) -> tuple[float, Work, Any]:
    folder = shop.fresh("ours")
    recipe = ours.write_recipe(folder / "run.yaml", request, judged, log_every=warm)
    ended = run(ours.training_command(accelerate_launch(request.precision, request.device), recipe), env=shop.caches)
    output = folder / "run"
    seconds = ours.seconds_of_updates(ours.logged(output), warm, request.updates, request.batch)
    run(python("-m", "benchmarks.contestants.ours", str(output), str(warm), str(request.updates), request.result))
    return seconds, Work(**json.loads(Path(request.result).read_text(encoding="utf-8"))), ended


def read_stopwatch(result: dict[str, list[Any]], warm: int) -> tuple[float, Work]:
    """Seconds and work of the updates after the warm ones."""
    seconds = result["ends"][-1] - result["ends"][warm - 1]
    return seconds, Work(*(sum(result[key][warm:]) for key in ("examples", "tokens", "squares")))


def ratios(found: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """How many times as fast each entrant of accel_cls is as each other contestant, by round."""
    speeds = {name: [measured["examples_per_second"] for measured in rounds] for name, rounds in found.items()}
    return {
        f"{mine} / {other}": ratio(speeds[mine], speeds[other]).record()
        for mine in speeds
        for other in speeds
        if mine.startswith("accel_cls") and not other.startswith("accel_cls")
    }


def _every_class(rows: data.Rows, count: int) -> data.Rows:
    """Rows from the end, but with every class among them: accel_cls refuses labels that it never saw."""
    firsts = {label: (text, label) for text, label in rows}
    return [*firsts.values(), *rows[-count:]]


def _line(measured: dict[str, Any]) -> str:
    return (
        f"{measured['examples_per_second']:.4g} texts/s, {measured['floor_share']:.1%} of the floor's speed, "
        f"{measured['peak_bytes'] / 1e9:.2f} GB, {measured['wall_seconds']:.0f} s in all"
    )


def show(record: dict[str, Any]) -> list[list[str]]:
    """The rows of a case in the table of docs/speed.md."""
    rows = []
    for number, (name, rounds) in enumerate(record["rounds"].items()):
        columns = {key: Figure.of([measured[key] for measured in rounds]) for key in _SHOWN}
        rows.append(
            [
                record["title"] if number == 0 else "",
                name,
                columns["examples_per_second"].show(),
                columns["floor_share"].show(".1f", 100, " %"),
                columns["flop_share"].show(".1f", 100, " %"),
                columns["peak_bytes"].show(".2f", 1e-9, " GB"),
                columns["wall_seconds"].show(".0f", unit=" s"),
                _show_ratios(record["ratios"], name),
            ]
        )
    return rows


_SHOWN = ("examples_per_second", "floor_share", "flop_share", "peak_bytes", "wall_seconds")
HEAD = [
    "case",
    "who",
    "texts/s",
    "of the floor's speed",
    "of peak FLOP/s",
    "peak memory",
    "in all",
    "times as fast as",
]


def _show_ratios(found: dict[str, dict[str, Any]], name: str) -> str:
    mine = {pair.split(" / ")[1]: Figure.of(value["rounds"]) for pair, value in found.items() if pair.startswith(name)}
    return ", ".join(f"{other}: **{value.show('.2f')}**" for other, value in mine.items())


def entrants(*names: str) -> tuple[Entrant, ...]:
    """Such as "accel_cls bf16", or "trainer_best bf16 in 4"."""
    found = []
    for name in names:
        who, _, parts = name.partition(" in ")
        contestant, precision = who.split()
        found.append(Entrant(contestant, precision, int(parts or 1)))
    return tuple(found)
