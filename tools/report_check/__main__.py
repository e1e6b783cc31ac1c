"""Check report.html of a run in headless Chromium, and leave pictures to look at.

    python -m tools.report_check runs/food --out pictures

Whether it runs only its own scripts, asks for nothing, fits a telephone, does not jump, sorts, searches and filters,
and is reached by the keyboard. Pictures: light, dark, telephone, print.
Exit status: 0 nothing found, 1 faults, 2 no browser.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.report_check import checks
from tools.report_check.browser import Page, browsing, find_chromium

_SIZES = (("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light"))


def main() -> int:
    """Entry point; returns the exit status."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="tools.report_check", description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="run folders with a report.html")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="where pictures go (default: %(default)s)")
    options = parser.parse_args()
    chromium = find_chromium()
    if chromium is None:
        print("found no Chromium; install it, such as by apt-get install chromium", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    faults = []
    for run in options.runs:
        with browsing(chromium) as page:
            found = _check(page, run / "report.html", options.out / run.name)
        faults += found
        print(f"{run}: {len(found)} faults")
        for fault in found:
            print(f"  {fault}")
    print(f"pictures in {options.out}")
    return 1 if faults else 0


def _check(page: Page, report: Path, pictures: Path) -> list[str]:
    found = []
    for name, width, scheme in _SIZES:
        page.show(width, 900, scheme)
        page.open(report)
        found += [*checks.fits(page, width), *checks.harmless(page)]
        page.save_picture(pictures.with_name(f"{pictures.name}_{name}.png"))
        found += checks.complaints(page)
    page.show(1280, 900)
    page.open(report)
    found += [*checks.works(page), *checks.reachable(page), *checks.complaints(page)]
    page.show(1280, 900, "dark")
    page.open(report)
    page.save_print(pictures.with_name(f"{pictures.name}_print.pdf"))
    return found


if __name__ == "__main__":
    sys.exit(main())
