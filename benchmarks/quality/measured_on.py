"""On which machines, when and with what kept results were measured."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from benchmarks.quality.kept import Result

_QUIET = 0.1  # cores that others may keep busy: what a system does by itself


def letters_of(results: Sequence[Result]) -> dict[str, str]:
    """A letter for each kind of machine."""
    return dict(zip(dict.fromkeys(one.machine for one in results), ascii_uppercase, strict=False))


def measured_on(results: Sequence[Result], letters: dict[str, str]) -> str:
    """A paragraph for each kind of machine."""
    parts = ["### Measured on"]
    for machine, letter in letters.items():
        own = [one for one in results if one.machine == machine]
        whole = [one.facts["machine"] for one in own]
        dates = sorted({on["date"] for on in whole})
        days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        with_what = {", ".join(f"{name} {version}" for name, version in on["versions"].items()) for on in whole}
        busy = sum(one.facts["others_cores"] > _QUIET for one in own)
        disturbed = (
            f" Other processes kept cores busy during {busy} of {len(own)}: read their seconds so." if busy else ""
        )
        parts.append(f"{letter}: {machine}. {days}: {'; or '.join(sorted(with_what))}.{disturbed}")
    return "\n\n".join(parts)
