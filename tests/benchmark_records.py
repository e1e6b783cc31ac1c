"""Figures as the benchmarks' JSON file has them, made up."""

from __future__ import annotations

from benchmarks.training import ratios


def measured(speed: float) -> dict:
    return {
        "examples_per_second": speed,
        "floor_share": 0.5,
        "flop_share": 0.25,
        "peak_bytes": 2e9,
        "wall_seconds": 60.0,
        "others_cores": 0.0,
    }


def record(**changes) -> dict:
    rounds = {
        "trainer_best bf16": [measured(10.0), measured(20.0)],
        "accel_cls bf16": [measured(30.0), measured(40.0)],
    }
    case = {"name": "a", "kind": "training", "title": "A case", "rounds": rounds, "ratios": ratios(rounds)}
    machine = {
        "date": "2030-01-01", "processor": "A CPU", "cores": 2, "flags": [], "memory_bytes": 2**34, "gpu": None,
        "python": "3.11", "versions": {"torch": "2"}, "commit": "abc",
    }  # fmt: skip
    peaks = {"bert-base bf16 cpu": {"flop_per_second": 2e12, "optimizer_seconds": 0.05}}
    whole = {"machine": machine, "rounds": 2, "quick": False, "peaks": peaks, "cases": [case]}
    return {**whole, "skipped": {}, "failed": {}, **changes}
