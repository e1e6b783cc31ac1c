"""Show to a person, or to a program, what was measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from accel_cls.console import Console
from accel_cls.profiling.advice import advice
from accel_cls.profiling.measurements import BETWEEN, PARTS, ProcessMeasurements, ProfileResult

_OPERATORS = 8  # shown


def show(profile: ProfileResult, out: Path, console: Console) -> None:
    """Tables, then advice, then where the traces are."""
    first, several = profile.first, len(profile.processes) > 1
    console.section(f"where an update's time goes: {first.hardware}", [])
    rows = [[p.name, _ms(p.mean), _ms(p.median), f"{p.share:.1%}"] for p in profile.parts()]
    console.table(["part", "mean ms", "median ms", "share"], rows)
    if several:
        console.section("processes", [])
        console.table(*_table_of_processes(profile))
    console.section("what goes through", _lines(profile))
    title = f"operators of process 0, {first.traced} updates" if several else f"operators, {first.traced} updates"
    console.section(f"{title}: own time, as torch's profiler sees it", [])
    console.table(["kind", "share"], [[kind, f"{share:.1%}"] for kind, share in profile.kinds()])
    whole = sum(operator.seconds for operator in first.operators)
    console.print("")
    console.table(
        ["operator", "kind", "calls an update", "ms", "share"],
        [
            [o.name, o.kind, f"{o.calls:.0f}", _ms(o.seconds), f"{o.seconds / whole:.1%}"]
            for o in [operator for operator in first.operators if operator.kind != BETWEEN][:_OPERATORS]
        ],
    )
    lines = advice(profile)
    if lines:
        console.section("what might be changed", [])
        for line in lines:
            console.print(f"  → {line}")
    console.section("traces" if several else "trace", [])
    for path in traces(profile, out):
        console.print(f"  {path}")
    console.print("  open it at https://ui.perfetto.dev (which uploads nothing) or in Chrome at chrome://tracing")


def heading(updates: int, warm_up: int, traced: int, out: Path) -> list[tuple[str, str]]:
    """Name and text of each line above the measurement."""
    return [
        ("measures", f"{updates} updates after {warm_up} to warm up, then {traced} under torch's profiler"),
        ("leaves", f"{_short(out)}; the recipe's own run is not touched"),
    ]


def traces(profile: ProfileResult, out: Path) -> list[str]:
    """The trace file of each process."""
    return [_short(out / measured.trace) for measured in profile.processes]


def as_json(profile: ProfileResult, out: Path) -> dict[str, Any]:
    """The same for programs; times in seconds."""
    first, several = profile.first, len(profile.processes) > 1
    per_pass, per_token = profile.micro_batch_cost
    return {
        "hardware": first.hardware,
        "precision": first.precision,
        "processes": len(profile.processes),
        "updates": len(first.updates),
        "parts": [vars(part) for part in profile.parts()],
        "examples_per_second": profile.each("examples") / profile.seconds,
        "real_tokens_per_second": profile.each("real") / profile.seconds,
        "padding": profile.padding,
        "padding_seconds_estimated": profile.padding_seconds,
        "micro_batches": profile.each("micro_batches"),
        "micro_batch_tokens": first.tokens,
        "seconds_of_a_micro_batch": per_pass,
        "seconds_of_a_padded_token": per_token,
        "flops": profile.flops,
        "peak_flops": profile.peaks,
        "products_seconds": first.products,
        "peak_memory_bytes": [measured.memory for measured in profile.processes],
        "waiting": [
            {"process": measured.process, "for_others": late, "exchange": exchange}
            for measured, (late, exchange) in zip(profile.processes, profile.waiting_times(), strict=True)
        ]
        if several and first.updates[0].ready is not None
        else None,
        "traced_updates": first.traced,
        "kinds": [{"kind": kind, "share": share} for kind, share in profile.kinds()],
        "operators": [vars(operator) for operator in first.operators],
        "advice": advice(profile),
        "traces": traces(profile, out),
    }


def _table_of_processes(profile: ProfileResult) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Who does how much, and who waits."""
    head = ["process", "examples", "padded tokens"]
    if not profile.measures_waiting:  # as under FSDP, which waits in between
        return head, [[str(measured.process), *_counts(measured)] for measured in profile.processes]
    head += ["busy ms", "waiting ms", "share"]
    has_ready_times = profile.first.updates[0].ready is not None
    rows = []
    for measured, (late, exchange) in zip(profile.processes, profile.waiting_times(), strict=True):
        updates = measured.updates
        waiting = fmean(update.parts["waiting"] for update in updates)
        busy = fmean(sum(update.parts[part] for part in PARTS) for update in updates) - waiting
        row = [
            str(measured.process),
            *_counts(measured),
            _ms(busy),
            _ms(waiting),
            f"{waiting / profile.seconds:.1%}",
        ]
        rows.append([*row, _ms(late), _ms(exchange)] if has_ready_times else row)
    return [*head, *(["for others", "exchange"] if has_ready_times else [])], rows


def _counts(measured: ProcessMeasurements) -> list[str]:
    return [f"{fmean(getattr(update, what) for update in measured.updates):,.1f}" for what in ("examples", "padded")]


def _lines(profile: ProfileResult) -> list[tuple[str, str]]:
    first, seconds = profile.first, profile.seconds
    per_pass, per_token = profile.micro_batch_cost
    lost = profile.padding_seconds
    each = f"a micro-batch {_ms(per_pass)} ms by itself, 1,000 padded tokens {_ms(1000 * per_token)} ms"
    lines = [
        ("examples", f"{profile.each('examples') / seconds:,.0f}/s, {profile.each('examples'):.1f} an update"),
        ("tokens", f"{profile.each('real') / seconds:,.0f}/s, without padding"),
        (
            "padding",
            f"{profile.padding:.1%} of what goes through; costs about {_ms(lost)} ms an update, {lost / seconds:.0%} "
            "(an estimate, by tokens)",
        ),
        ("micro-batches", f"{profile.each('micro_batches'):.1f} an update, at most {first.tokens:,} padded tokens"),
        *([("", f"forward and backward: {each}")] if per_pass else []),
    ]
    if first.device == "cuda":
        by_graph = "a training plays them as CUDA graphs, where it can (train.cuda_graphs), and is faster"
        lines.append(("kernels", f"launched one by one, so that parts have a time; {by_graph}"))
    if profile.flops is not None:
        peak = profile.peaks.get(first.precision)
        reached = "" if peak is None else f", {profile.flops / peak:.0%} of {_gflops(peak)} in a large matrix product"
        lines.append(("arithmetic", f"{_gflops(profile.flops)} for real tokens{reached} in {first.precision}"))
    memory = [measured.memory for measured in profile.processes if measured.memory is not None]
    if memory:
        whose = "of a process, from its start on" if first.device == "cpu" else "of a device, by torch"
        lines.append(("memory", f"{max(memory) / 1e9:.2f} GB at most, {whose}"))
    return lines


def _gflops(flops: float) -> str:
    return f"{flops / 1e9:,.0f} GFLOP/s" if flops < 1e13 else f"{flops / 1e12:,.0f} TFLOP/s"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.2f}" if seconds < 0.01 else f"{1000 * seconds:,.1f}"


def _short(path: Path) -> str:
    return min(os.path.relpath(path), str(path), key=len)
