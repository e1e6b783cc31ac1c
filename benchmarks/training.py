"""Trainings side by side: texts a second once they are under way, memory, the time in all."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import budget, data
from benchmarks.contestants import ours
from benchmarks.contestants.request import Request
from benchmarks.figures import Figure, ratio, show_memory
from benchmarks.floor import Work, training_floor, training_flop
from benchmarks.models import SHAPES
from benchmarks.processes import Ended, Failed, accelerate_launch, python
from benchmarks.workshop import Workshop

_WARM = 10  # updates that are not counted on a CPU: the first ones allocate memory
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
    compiled: bool = False  # a Trainer with torch_compile

    def __str__(self) -> str:
        parts = f" in {self.parts}" if self.parts > 1 else ""
        return f"{self.contestant} {self.precision}{' compiled' if self.compiled else ''}{parts}"


@dataclass(frozen=True)
class Window:
    """Which updates are counted, of how many training texts."""

    rows: int  # texts in the training file
    warm: int
    counted: int

    @classmethod
    def of(cls, rows: int, batch: int, groups: int, quick: bool, warm_groups: int = 0) -> Window:
        """A window of whole groups of the Trainer's, which makes them of a quarter of the texts at most.

        Args:
            rows: how many texts there are.
            batch: texts an update.
            groups: how many are counted; one, where it is quick.
            quick: small groups.
            warm_groups: how many before them are not; 0: ten updates are not.

        Raises:
            ValueError: where there are too few texts for that.
        """
        step = 5 if quick else _WARM
        group = min(rows // (4 * batch), step if quick else _GROUP) // step * step
        if group == 0:
            raise ValueError(f"{rows} texts are too few for updates of {batch}")
        rows = min(rows, 4 * group * batch) if group < _GROUP else rows
        warm, counted = warm_groups * group or step, group * (1 if quick else groups)
        if (warm + counted) * batch > rows:  # a second epoch would begin with its longest texts once more
            raise ValueError(f"{rows} texts are too few for {warm} + {counted} updates of {batch}")
        return cls(rows, warm, counted)


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

    def window(self, rows: int, quick: bool) -> Window:
        """Which updates are counted.

        On a GPU two whole groups come before them, if texts differ in length: with the reviews 100 updates of 16 or
        32, 80 of 64, 20 of 256. The first group begins with the longest text of all, for which memory is allocated.
        Its width gets a program of its own, the second width one for all widths; but where that turned out to hold
        for those up to 128 only, the next wide one came with the second group, and with it a third program.
        """
        warm_groups = {"cpu": 0, "cuda": 1 if self.texts.startswith("even") else 2}[self.device]
        return Window.of(rows, self.batch, self.groups, quick, warm_groups)

    def expected_seconds(self, rounds: int, quick: bool) -> float:
        """How long it is expected to take in all."""
        window = self.window(self._row_count(), quick)
        seconds = compiling = 0.0
        for entrant in self.entrants:
            updates, tokens = window.warm + window.counted, budget.tokens_of(self.texts)
            if entrant.contestant == "tutorial":  # which pads all texts to 512
                updates, tokens = 2 if quick else sum(_TUTORIAL), 512
            seconds += updates * budget.update_seconds(self.model, self.batch * tokens, self.device)
            seconds += budget.START[self.device]
            seconds += budget.COUNTING if entrant.contestant == "accel_cls" else 0.0
            compiling += budget.COMPILING * SHAPES[self.model].layers if entrant.compiled else 0.0
        precisions = {entrant.precision for entrant in self.entrants}
        compiling *= 1 + (rounds - 1) * budget.RECOMPILING
        return budget.MODEL + len(precisions) * budget.PEAK + rounds * seconds + compiling

    def measure(self, shop: Workshop) -> dict[str, Any]:
        """Run all entrants in turn, as often as there are rounds. One that fails does not stop the others.

        Raises:
            Failed: where all failed.
            OutOfTime: where the time was over before each had run once.
        """
        rows = self._rows()
        window = self.window(len(rows), shop.quick)
        texts = data.write_rows(shop.place / f"{self.name}.csv", rows[: window.rows])
        judged = data.write_rows(shop.place / f"{self.name}_judged.csv", _every_class(rows, _JUDGED))
        model = shop.model(self.model, self.classes)
        entrants = self._fit_for(shop.fast_bf16 or self.device != "cpu")
        failed: dict[str, str] = {}

        def one_round(number: int) -> dict[str, dict[str, Any]]:
            measured = {}
            for entrant in (entrant for entrant in entrants if str(entrant) not in failed):
                # Other texts in each round, so that the spread has the luck of the draw in it.
                request = self._request(entrant, model, texts, 42 + number, shop)
                try:
                    measured[str(entrant)] = self._once(entrant, request, judged, window, shop)
                    line = _line(measured[str(entrant)])
                except Failed as error:
                    failed[str(entrant)] = line = str(error)
                shop.say(f"{self.name} {number + 1}/{shop.rounds}  {entrant}  {line}")
            return measured

        rounds = shop.all_rounds(one_round)
        found = {name: measured for name, measured in rounds.items() if name not in failed}
        if not found:
            raise Failed("\n".join(failed.values()))
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
            "failed": failed,
            "ratios": ratios(found),
        }

    def _request(self, entrant: Entrant, model: Path, texts: Path, seed: int, shop: Workshop) -> Request:
        return Request(
            model=str(model),
            texts=str(texts),
            result=str(shop.place / "result.json"),
            batch=self.batch,
            parts=entrant.parts,
            precision=entrant.precision,
            compiled=entrant.compiled,
            seed=seed,
            device=self.device,
        )

    def _fit_for(self, fast_bf16: bool) -> tuple[Entrant, ...]:
        """The entrants; in fp32 those in bf16, where the machine has no instructions for that: it would be slower."""
        if fast_bf16:
            return self.entrants
        return tuple(dict.fromkeys(replace(entrant, precision="fp32") for entrant in self.entrants))

    def _row_count(self) -> int:
        return 6 * _GROUP * self.batch if self.texts.startswith("even") else len(self._rows())

    def _rows(self) -> data.Rows:
        if self.texts.startswith("even"):
            return data.even(int(self.texts.removeprefix("even")) - 2, self._row_count())
        return getattr(data, self.texts)()

    def _once(
        self, entrant: Entrant, request: Request, judged: Path, window: Window, shop: Workshop
    ) -> dict[str, Any]:
        warm, counted = window.warm, window.counted
        if entrant.contestant == "tutorial":
            warm, counted = (1, 1) if shop.quick else _TUTORIAL
        request = replace(request, warm=warm, updates=warm + counted)
        train = _train_ours if entrant.contestant == "accel_cls" else _train_theirs
        seconds, work, ended, seen = train(entrant, request, judged, shop)
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
            **seen,
        }


def _train_theirs(
    entrant: Entrant, request: Request, judged: Path, shop: Workshop
) -> tuple[float, Work, Ended, dict[str, Any]]:
    command = python("-m", f"benchmarks.contestants.{entrant.contestant}")
    # What is compiled is kept for the next round, as it would be for a user's next run, and no longer.
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(shop.place / "inductor")}
    ended = shop.run([*command, str(request.write(shop.place / "request.json"))], env=caches)
    result = json.loads(Path(request.result).read_text(encoding="utf-8"))
    return *read_stopwatch(result, request.warm), ended, seen_on_device(result)


def _train_ours(
    entrant: Entrant, request: Request, judged: Path, shop: Workshop
) -> tuple[float, Work, Ended, dict[str, Any]]:
    folder, warm = shop.fresh("ours"), request.warm
    log_every = math.gcd(warm, request.updates)  # so that a line of the log ends where counting begins, and at the end
    recipe = ours.write_recipe(folder / "run.yaml", request, judged, log_every=log_every)
    ended = shop.run(
        ours.training_command(accelerate_launch(request.precision, request.device), recipe), env=shop.caches
    )
    output = folder / "run"
    seconds = ours.seconds_of_updates(ours.logged(output), warm, request.updates, request.batch)
    shop.run(python("-m", "benchmarks.contestants.ours", str(output), str(warm), str(request.updates), request.result))
    work = Work(**json.loads(Path(request.result).read_text(encoding="utf-8")))
    return seconds, work, ended, {"device_peak_bytes": ours.device_peak_bytes(output)}


def seen_on_device(result: dict[str, Any]) -> dict[str, int | None]:
    """What a Trainer's stopwatch saw of its device; what should have been over when the counted updates began, too."""
    (programs, all_programs), (allocations, all_allocations) = result["programs"], result["allocations"]
    return {
        "device_peak_bytes": result["device_peak_bytes"],
        "late_programs": all_programs - programs,  # compiled while updates were counted
        "late_allocations": all_allocations - allocations,  # of the GPU's memory, likewise
    }


def read_stopwatch(result: dict[str, Any], warm: int) -> tuple[float, Work]:
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
    device = measured["device_peak_bytes"]
    late = measured.get("late_programs")
    return (
        f"{measured['examples_per_second']:.4g} texts/s, {measured['floor_share']:.1%} of the floor's speed, "
        f"{measured['peak_bytes'] / 1e9:.2f} GB, {f'{device / 1e9:.2f} GB of the GPU, ' if device else ''}"
        f"{measured['wall_seconds']:.0f} s in all{f'; {late} programs were compiled too late' if late else ''}"
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
                show_memory(rounds, record.get("device", "cpu")),
                columns["wall_seconds"].show(".0f", unit=" s"),
                _show_ratios(record["ratios"], name),
            ]
        )
    return rows


_SHOWN = ("examples_per_second", "floor_share", "flop_share", "wall_seconds")
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
    """Such as "accel_cls bf16", "trainer_best bf16 in 4", or "trainer_best bf16 compiled"."""
    found = []
    for name in names:
        who, _, parts = name.partition(" in ")
        contestant, precision, *compiled = who.split()
        found.append(Entrant(contestant, precision, int(parts or 1), compiled == ["compiled"]))
    return tuple(found)
