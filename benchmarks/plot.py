"""The trainings as bars: how near each contestant comes to the floor's speed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

_COLORS = {"tutorial": "#b0b0b0", "trainer_best": "#e0a040", "accel_cls": "#2a6fb0"}


def draw(cases: Sequence[dict[str, Any]], path: Path) -> bool:
    """Write an SVG; returns whether there was something to draw and something to draw with."""
    cases = [case for case in cases if case["kind"] == "training"]
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed; pip install -e '.[bench]'", file=sys.stderr)
        return False
    if not cases:
        return False
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "speed"  # the same figures give the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text: a tenth of the size
    from matplotlib import pyplot

    bars = [
        (f"{case['title']}\n" if number == 0 else "", who, [one["floor_share"] * 100 for one in rounds], rounds)
        for case in cases
        for number, (who, rounds) in enumerate(case["rounds"].items())
    ]
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(bars) + 1.2))
    for place, (title, who, shares, rounds) in enumerate(bars):
        share = Figure.of(shares)
        spread = [[share.median - share.least], [share.most - share.median]]
        contestant, *how = who.split()
        style = {"hatch": "//", "edgecolor": "white"} if "compiled" in how else {}
        axes.barh(place, share.median, xerr=spread, color=_COLORS[contestant], ecolor="#404040", **style)
        speed = Figure.of([one["examples_per_second"] for one in rounds])
        axes.text(share.most + 1, place, f"{Figure.of([speed.median]).show()} texts/s", va="center", fontsize=8)
        if title:
            axes.axhline(place - 0.5, color="#d0d0d0", linewidth=0.6)
    axes.set_yticks(range(len(bars)), [f"{title}{who}" for title, who, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("training speed, % of the floor's")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return True
