"""Tokenizing a million short texts, against the bare fast tokenizer on all cores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from benchmarks import budget
from benchmarks.figures import Figure, ratio
from benchmarks.processes import python
from benchmarks.workshop import Workshop

_QUICK = 20_000  # texts
_EACH = 0.00002  # seconds a text, to make it and to tokenize it: 50,000 a second on two cores
_CONTESTANTS = ("bare", "accel_cls")


@dataclass(frozen=True)
class TokenizingCase:
    """A tokenizer, by its model, and so many texts made of real titles."""

    name: str
    title: str
    model: str
    count: int
    classes: int = 2
    device: str = "cpu"
    kind = "tokenizing"

    def expected_seconds(self, rounds: int, quick: bool) -> float:
        """How long it is expected to take in all."""
        count = _QUICK if quick else self.count
        return budget.MODEL + rounds * len(_CONTESTANTS) * (budget.START[self.device] + count * _EACH)

    def measure(self, shop: Workshop) -> dict[str, Any]:
        """Run both in turn, as often as there are rounds."""
        count = _QUICK if shop.quick else self.count
        model, result = shop.model(self.model, self.classes), shop.place / "result.json"

        def one_round(number: int) -> dict[str, dict[str, float]]:
            measured = {}
            for name in _CONTESTANTS:
                command = ["-m", "benchmarks.contestants.encoding", name, str(model), str(count), str(result)]
                ended = shop.run(python(*command))
                one = json.loads(result.read_text(encoding="utf-8")) | {
                    "peak_bytes": ended.peak_bytes,
                    "others_cores": ended.others_cores,
                }
                measured[name] = one
                speed, more = count / one["seconds"], one["more_bytes"] / 1e9
                shop.say(f"{self.name} {number + 1}/{shop.rounds}  {name}  {speed:,.0f} texts/s, {more:.2f} GB more")
            return measured

        found = shop.all_rounds(one_round)
        if len({one["tokens"] for rounds in found.values() for one in rounds}) > 1:
            raise ValueError(f"{self.name}: the contestants found different numbers of tokens")
        bare, mine = ([one["seconds"] for one in found[name]] for name in _CONTESTANTS)
        return {
            "name": self.name,
            "kind": self.kind,
            "title": f"{self.title}, {count:,} texts",
            "count": count,
            "rounds": found,
            "ratios": {"accel_cls / bare": ratio(bare, mine).record()},
        }


HEAD = ["case", "who", "seconds", "texts/s", "memory above the texts'", "of the bare tokenizer's speed"]


def show(record: dict[str, Any]) -> list[list[str]]:
    """The rows of a case in the table of docs/speed.md."""
    rows = []
    for number, (name, rounds) in enumerate(record["rounds"].items()):
        seconds = Figure.of([one["seconds"] for one in rounds])
        share = record["ratios"].get(f"{name} / bare")
        rows.append(
            [
                record["title"] if number == 0 else "",
                name,
                seconds.show(),
                Figure.of([record["count"] / one for one in seconds.rounds]).show(),
                Figure.of([one["more_bytes"] for one in rounds]).show(".2f", 1e-9, " GB"),
                Figure.of(share["rounds"]).show(".0f", 100, " %") if share else "",
            ]
        )
    return rows
