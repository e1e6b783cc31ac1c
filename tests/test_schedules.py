"""Each schedule's rate at named points, and recipes that name what it goes by."""

from __future__ import annotations

import math

import pytest

from accel_cls.batching.schedule import Schedule

RATE = 1e-3


def rates(
    kind: str, warmup: float | int = 4, updates: int = 20, decay: float = 0.25, power: float = 3.0
) -> list[float]:
    schedule = Schedule(kind, RATE, warmup, updates, decay, power)
    return [schedule.rate(update) / RATE for update in range(updates)]


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant", "polynomial", "inverse_sqrt", "wsd"])
def test_rate_rises_as_a_line_to_its_height(kind: str) -> None:
    assert rates(kind)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("linear", lambda k: 1 - (k - 4) / 16),
        ("cosine", lambda k: 0.5 * (1 + math.cos(math.pi * (k - 4) / 16))),
        ("constant", lambda k: 1),
        ("polynomial", lambda k: (1 - (k - 4) / 16) ** 3),
        ("inverse_sqrt", lambda k: 5**0.5 * (k + 1) ** -0.5),
        ("wsd", lambda k: 1 if k < 15 else (20 - k) / 5),
    ],
)
def test_rate_after_the_warm_up_is_that_of_the_formula(kind: str, formula) -> None:
    assert rates(kind)[4:] == pytest.approx([formula(k) for k in range(4, 20)])


def test_polynomial_of_power_one_is_the_line() -> None:
    assert rates("polynomial", power=1.0) == pytest.approx(rates("linear"))


def test_wsd_falls_over_an_update_at_least_and_over_what_the_warm_up_leaves_at_most() -> None:
    assert rates("wsd", 0, 5, decay=0.01) == pytest.approx([1, 1, 1, 1, 1])  # of one update, 1 / 1 is left
    assert rates("wsd", 8, 10, decay=1.0)[8:] == pytest.approx([1, 0.5])
    assert "stays, and falls to 0 over the last 5 updates" in Schedule("wsd", RATE, 4, 20, 0.25, 1.0).describe(20)
