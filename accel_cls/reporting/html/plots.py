"""Where lines, points and labels of a plot lie: arithmetic from values to coordinates, which templates draw as SVG."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]

# Of a plot in its own coordinates, which are pixels on a telephone; wider screens put several side by side.
WIDTH, HEIGHT = 360, 216
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 28
_EM = 11.0  # of the labels' letters
_MOST_POINTS = 240  # of a line; of more, neighbours are averaged


@dataclass(frozen=True)
class Tick:
    """A number beside an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line through points."""

    name: str
    style: str  # the CSS class: "main", "second"
    path: str  # "x,y x,y …"
    dots: tuple[Point, ...]  # where points are few: each is drawn


@dataclass(frozen=True)
class Mark:
    """A point that is named."""

    x: float
    y: float
    text: str
    anchor: str  # "start", "middle" or "end": of the text


@dataclass(frozen=True)
class Chart:
    """Lines over two axes."""

    title: str
    said: str  # the same in words, for who does not see it
    x_name: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    mark: Mark | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def ticks(low: float, high: float, most: int = 5, steps: Sequence[float] = (1, 2, 2.5, 5, 10, 20)) -> list[float]:
    """Round numbers from the last one below `low` to the first one above `high`, `most` steps at the most."""
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        # One value, or as good as one, stands in the middle: an accuracy of 0.88 needs no axis up to 1.8.
        low, high = (low - abs(low) / 20, low + abs(low) / 20) if low else (0.0, 1.0)
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in steps if f * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if last - first > most:  # both ends were rounded out
        step *= 2
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def short(value: float) -> str:
    """A number beside an axis: 0.005, 1e-4, 1,250, 12.5k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:,.5g}k"
    return f"{value:,.6g}" if abs(value) >= 1000 else f"{value:.4g}".replace("e-0", "e-")


def chart(
    title: str,
    said: str,
    x_name: str,
    series: Sequence[tuple[str, str, Sequence[tuple[float, float | None]]]],
    mark: tuple[float, float, str] | None = None,
    from_zero: bool = False,
) -> Chart | None:
    """Lay out lines; None where no series has a point.

    Args:
        title: above it.
        said: what it shows, in words.
        x_name: of the axis.
        series: name, style and points of each; a y that is None is no finite number, and left out.
        mark: x, y and text of a point to name.
        from_zero: whether the vertical axis begins at 0.
    """
    drawn = [
        (name, style, thinned([(x, y) for x, y in points if y is not None and math.isfinite(y)]))
        for name, style, points in series
    ]
    drawn = [one for one in drawn if one[2]]
    if not drawn:
        return None
    xs = [x for *_, points in drawn for x, _ in points]
    ys = [y for *_, points in drawn for _, y in points] + [0.0] * from_zero
    across, up = ticks(min(0.0, *xs), max(xs), 7, (1, 2, 5, 10)), ticks(min(ys), max(ys))
    x_end = max(xs)
    left, right, top, bottom = _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM

    def at(x: float, y: float) -> Point:
        share_x, share_y = x / (x_end or 1), (y - up[0]) / (up[-1] - up[0])
        return round(left + share_x * (right - left), 1), round(bottom - share_y * (bottom - top), 1)

    named = None
    if mark is not None:
        x, y = at(mark[0], mark[1])
        anchor = "end" if x > left + 0.75 * (right - left) else "start" if x < left + 60 else "middle"
        named = Mark(x, y, mark[2], anchor)
    lines = tuple(_line(name, style, [at(*point) for point in points]) for name, style, points in drawn)
    x_ticks = tuple(Tick(at(x, up[0])[0], short(x)) for x in across if x <= x_end * 1.001)
    y_ticks = tuple(Tick(at(0, y)[1], short(y)) for y in up)
    return Chart(title, said, x_name, x_ticks, y_ticks, lines, named)


def _line(name: str, style: str, points: Sequence[Point]) -> Line:
    dots = tuple(points) if (len(points) <= 40 and style == "main") or len(points) == 1 else ()
    return Line(name, style, " ".join(f"{x:g},{y:g}" for x, y in points), dots)


def thinned(points: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """At most so many points: of more, as many neighbours as it takes become their mean."""
    size = -(-len(points) // most) if points else 1
    groups = (points[i : i + size] for i in range(0, len(points), size))
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


@dataclass(frozen=True)
class Bar:
    """A named length."""

    name: str
    full: str  # the name in full, where it was shortened
    y: float
    width: float
    text: str


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, one below the other, names to the left."""

    said: str
    width: int
    height: float
    left: float  # where the bars begin
    bars: tuple[Bar, ...]


_ROW = 22.0  # from a bar to the next


def bars(said: str, values: Sequence[tuple[str, int]]) -> Bars:
    """Lay out bars of counts; a name that is too wide is shortened."""
    names = [fitted(name, 12 * _EM) for name, _ in values]
    left = round(max((text_width(name) for name in names), default=0) + 10, 1)
    room = WIDTH - left - max((text_width(f"{value:,}") for _, value in values), default=0) - 8
    most = max((value for _, value in values), default=0) or 1
    found = [
        Bar(short_name, name, round(i * _ROW, 1), round(max(1.0, room * value / most), 1), f"{value:,}")
        for i, (short_name, (name, value)) in enumerate(zip(names, values, strict=True))
    ]
    return Bars(said, WIDTH, len(found) * _ROW, left, tuple(found))


def text_width(text: str, em: float = _EM) -> float:
    """About how wide a text is drawn, in pixels: Chinese characters fill their square, Latin letters about half."""
    return sum(em * (1.0 if unicodedata.east_asian_width(c) in "WF" else 0.58) for c in text if not _joins(c))


def has_wide_letters(text: str) -> bool:
    """Whether it has letters that stand upright in a column, as Chinese ones do; others lie on their side."""
    return any(unicodedata.east_asian_width(c) in "WF" for c in text)


def _joins(character: str) -> bool:
    """Whether it is drawn onto the one before."""
    return unicodedata.combining(character) != 0 or unicodedata.category(character) in ("Mn", "Me", "Cf")


def fitted(text: str, width: float) -> str:
    """The beginning of a text that may be wider than there is room, in pixels."""
    if text_width(text) <= width:
        return text
    while text and text_width(text) + _EM > width:
        text = text[:-1]
    return text.rstrip() + "…"
