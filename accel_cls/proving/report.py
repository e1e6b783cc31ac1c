"""Show the result of a proof to a person."""

from __future__ import annotations

from collections.abc import Sequence

from accel_cls.console import Console
from accel_cls.proving.proof import Proof, ProofRun

_SHOWN = ("weights", "optimizer", "metrics", "predictions")  # the hashes that have a column
_DIGITS = 12  # of a hash


def heading(proof: Proof) -> list[tuple[str, str]]:
    """Name and text of each line above the trainings."""
    options = proof.options
    repeatable = [("repeatable", proof.repeatable)] if proof.repeatable else []
    return [
        (
            "trainings",
            f"{proof.updates:,} updates each, on {proof.base}; on a CPU, {proof.threads} "
            f"thread{'s' if proof.threads > 1 else ''} a process",
        ),
        *repeatable,
        (
            "checkpoints",
            f"every {_updates(proof.checkpoint_every)}; evaluations every {_updates(proof.evaluate_every)}",
        ),
        ("kills", f"{options.kills} by kill -9 of all processes, at instants drawn with seed {options.seed}"),
    ]


def show(runs: Sequence[ProofRun], kills: int, console: Console) -> None:
    """A table of all trainings, then the verdicts."""
    rows = [
        [
            one.name,
            _list(one.killed_at),
            _list(one.resumed_from),
            *(one.fingerprint.hash(part)[:_DIGITS] for part in _SHOWN),
            "" if one is runs[0] else "same" if one.is_same else "DIFFERENT",
        ]
        for one in runs
    ]
    console.section("what they left, sha256", [])
    console.table(["training", "killed at", "resumed from", *_SHOWN, "verdict"], rows)
    console.section("verdicts", [])
    for one in runs[1:]:
        cases = _basis(one) if one.verdict else [*one.differences, *([one.cause] if one.cause else [])]
        if len(one.killed_at) < kills:
            cases.append(f"killed {len(one.killed_at)} times, not {kills}: then it was over; take more --updates")
        console.finding("same" if one.is_same else "different", f"{one.name}: {one}", cases, "")


def _basis(one: ProofRun) -> list[str]:
    """What a verdict on other processes rests on; to the last bit they need not be the same."""
    verdict = one.verdict
    assert verdict is not None
    found = verdict.comparison
    lines = [
        f"largest differences: loss {found.loss.max():.1e}, gradient norm {found.gradient.max():.1e}, weights "
        f"{found.weights:.1e}, probability {found.probability:.1e}; tolerance {verdict.tolerance.loss:.0e} an update"
    ]
    if verdict.control is not None:
        control = verdict.control
        lines.append(
            f"control: loss {control.loss.max():.1e}, gradient norm {control.gradient.max():.1e}, weights "
            f"{control.weights:.1e} off, for a learning rate that is off by half a last digit"
        )
    return lines


def _list(updates: Sequence[int]) -> str:
    return ", ".join(map(str, updates)) or "-"


def _updates(every: int) -> str:
    return "update" if every == 1 else f"{every} updates"
