"""Where things lie in the plots of a report."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from accel_cls.reporting.html.plots import bars, chart, fitted, short, text_width, thinned, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.8736, 0.8857, [0.87, 0.875, 0.88, 0.885, 0.89]),
        (-2.2, 24.0, [-10, 0, 10, 20, 30]),
        (5.0, 5.0, [4.6, 4.8, 5, 5.2, 5.4]),
        (0.0, 0.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_ticks_are_round_and_hold_all(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(("low", "high"), [(1e-30, 1e-30), (3e-16, 8e-16), (1.0, 1.0 + 1e-15), (-2e-14, 1e-14)])
def test_ticks_of_what_is_tiny_or_as_good_as_one_value_are_apart(low: float, high: float) -> None:
    """Rounded to twelve places they were all 0, and a run with such a rate ended without its report."""
    found = ticks(low, high)
    assert found[0] <= low <= high <= found[-1]
    assert all(one < other for one, other in itertools.pairwise(found))


def test_ticks_of_anything_are_few_and_hold_all() -> None:
    draw = np.random.default_rng(0)
    for _ in range(500):
        low, high = sorted(draw.normal(size=2) * 10.0 ** draw.integers(-6, 6))
        found = ticks(low, high)
        assert found[0] <= low + 1e-9 * abs(low)
        assert found[-1] >= high - 1e-9 * abs(high)
        assert 2 <= len(found) <= 6
        assert len({short(x) for x in found}) == len(found)


def test_points_lie_where_their_values_are() -> None:
    drawn = chart("a", "b", "epoch", [("x", "main", [(0.0, 0.0), (1.0, 0.5), (2.0, 1.0)])], (2.0, 1.0, "kept"))
    assert drawn is not None
    (line,) = drawn.lines
    first, middle, last = [tuple(map(float, point.split(","))) for point in line.path.split()]
    assert first == (drawn.left, drawn.bottom)
    assert last == (drawn.right, drawn.top)
    assert middle == pytest.approx(((drawn.left + drawn.right) / 2, (drawn.top + drawn.bottom) / 2), abs=0.1)
    assert drawn.mark is not None
    assert (drawn.mark.x, drawn.mark.y) == last
    assert drawn.mark.anchor == "end"


def test_what_is_no_finite_number_is_left_out() -> None:
    points = [(0.0, 1.0), (1.0, None), (2.0, float("nan")), (3.0, 2.0)]
    drawn = chart("a", "b", "epoch", [("x", "main", points), ("y", "second", [(0.0, None)])])
    assert drawn is not None
    (line,) = drawn.lines
    assert len(line.path.split()) == 2
    assert chart("a", "b", "epoch", [("x", "main", [(0.0, None)])]) is None


def test_many_points_become_means_of_neighbours() -> None:
    points = [(float(i), float(i % 2)) for i in range(10_000)]
    found = thinned(points, 100)
    assert len(found) == 100
    assert all(y == 0.5 for _, y in found)
    assert found[0][0] == pytest.approx(49.5)
    assert thinned(points[:7], 100) == points[:7]


def test_chinese_letters_are_as_wide_as_they_are_high() -> None:
    assert text_width("中文", 10) == 20
    assert text_width("ab", 10) == pytest.approx(11.6)
    assert text_width("e\u0301", 10) == text_width("e", 10)
    assert fitted("很长的类别名称", 60) == "很长的类…"
    assert text_width(fitted("很长的类别名称", 60)) <= 60
    assert fitted("short", 60) == "short"


def test_bars_begin_where_the_widest_name_ends() -> None:
    drawn = bars("counts", [("中文类别", 100), ("b", 50), ("c", 0)])
    assert drawn.left >= text_width("中文类别")
    first, second, third = drawn.bars
    assert first.width == pytest.approx(2 * second.width, rel=0.01)
    assert third.width == 1
    assert drawn.left + first.width + text_width("100") < drawn.width
