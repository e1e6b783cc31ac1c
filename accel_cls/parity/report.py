"""Show the verdicts of a comparison to a person."""

from __future__ import annotations

from collections.abc import Sequence

from accel_cls.console import Console
from accel_cls.parity.run import Parity
from accel_cls.parity.verdict import Verdict


def heading(parity: Parity) -> list[tuple[str, str]]:
    """Name and text of each line above the trainings."""
    threads = f"{parity.threads} thread{'s' if parity.threads > 1 else ''} a process, the same in each"
    lines = [("trainings", f"{parity.updates:,} updates each; on a CPU, {threads}")]
    if parity.min_micro_batches > 1:
        lines.append(
            (
                "",
                f"all with train.min_micro_batches={parity.min_micro_batches}: an update with fewer micro-batches "
                "than processes is cut finer, and dropout draws otherwise",
            )
        )
    return lines


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """A table of all pairs, then each verdict with what it rests on."""
    rows = []
    for verdict in verdicts:
        found, case = verdict.comparison, verdict.pair.case
        rows.append(
            [
                case.name,
                "same" if found.examples is None else f"differ at {found.examples}",
                "same" if found.cut is None else f"differ at {found.cut}" if case.same_cut else "differ, as asked",
                f"{found.loss.max():.1e}",
                f"{found.gradient.max():.1e}",
                f"{found.weights:.1e}",
                "same" if found.rows else "differ",
                f"{found.probability:.1e}",
                str(verdict.diverges or "none"),
            ]
        )
    head = [
        "training",
        "examples",
        "micro-batches",
        "loss",
        "gradient norm",
        "weights",
        "rows evaluated",
        "probability",
    ]
    console.section("largest differences, relative but for probabilities", [])
    console.table([*head, "first beyond tolerance"], rows)
    console.section("verdicts", [])
    for verdict in verdicts:
        tolerance, control = verdict.tolerance, verdict.control
        kind = "different" if verdict.mismatches else "same"
        basis = [f"against: {verdict.pair.reference.name}; tolerance {tolerance.loss:.0e} in each update"]
        if control is not None:
            basis.append(
                f"control: loss {control.loss.max():.1e}, gradient norm {control.gradient.max():.1e}, weights "
                f"{control.weights:.1e} off, for a learning rate that is off by half a last digit"
            )
        console.finding(kind, f"{verdict.pair.case.name}: {verdict}", basis, "")
