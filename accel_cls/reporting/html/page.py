"""A finished run as one HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from accel_cls.console import duration
from accel_cls.errors import printable
from accel_cls.recipe import Recipe
from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html.part import Part
from accel_cls.reporting.html.plots import has_wide_letters
from accel_cls.reporting.html.sections import SECTIONS
from accel_cls.reporting.refit import is_refitted


@dataclass(frozen=True)
class Heading:
    """What stands at the top of the page."""

    name: str
    kind: str  # the task
    model: str
    about: str  # how the model was trained


def render_page(facts: Facts) -> str:
    """The page of a run, which needs nothing else: no file, no network."""
    shown = [(section, it) for section in SECTIONS if (it := section.content(facts)) is not None]
    results = facts.results
    about = f"trained on {results['rows']['training']:,} texts in {duration(results['seconds'])}"
    if is_refitted(results):
        about += f", then anew on {results['refit']['examples']:,}"
    about += f". {results['hardware']}"
    return render(heading(facts.recipe, about), shown)


def render(top: Heading, shown: Sequence[tuple[Part, Any]]) -> str:
    """A page of some parts, each with what its template sees as `it`."""
    environment = _environment()
    parts = [(part, environment.get_template(f"{part.key}.html.j2").render(it=it)) for part, it in shown]
    first, last = (_source(environment, name) for name in ("theme.js", "page.js"))
    return environment.get_template("page.html.j2").render(
        heading=top,
        parts=parts,
        style=_source(environment, "page.css"),
        first=first,
        last=last,
        hashes=[_digest(first), _digest(last)],
    )


def heading(recipe: Recipe, about: str) -> Heading:
    """Of a recipe that was trained, and how."""
    model = recipe.model.name or "A model built from the recipe, learned from nothing"
    return Heading(recipe.name, recipe.task.replace("_", " "), model, about)


@cache
def _environment() -> Environment:
    loader = PackageLoader("accel_cls.reporting.html")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[..., Any]] = {"visible": visible, "score": score, "percent": percent, "count": count}
    filters["signed"] = signed
    environment.filters |= filters
    environment.tests["upright"] = has_wide_letters
    environment.globals |= {"zip": zip, "ids": ids}
    return environment


def _source(environment: Environment, name: str) -> str:
    """A style or script of the page's own, as it is."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _digest(script: str) -> str:
    """By which the page's policy knows its own scripts: a browser runs no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def visible(text: str) -> str:
    """A text from data: what a browser would obey or drop is written out, such as \\x1b; line ends stay."""
    return printable(text)


def score(value: float | None) -> str:
    """A score with four digits; a dash where it is undefined or no finite number."""
    return "–" if value is None else f"{value:.4f}"


def ids(names: Sequence[str], some: Sequence[str]) -> str:
    """Which of the names these are, as an attribute holds them."""
    return " ".join(str(names.index(name)) for name in some)


def percent(value: float | None) -> str:
    """A share with one digit."""
    return "–" if value is None else f"{100 * value:.1f}%"


def signed(value: float) -> str:
    """A difference with four digits, and whether it is more or less."""
    return f"{value:+.4f}".replace("-", "−")


def count(value: int | None) -> str:
    """A whole number, thousands apart."""
    return "–" if value is None else f"{value:,}"
