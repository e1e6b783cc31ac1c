"""When does it decide: rules, what they promise, and what was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accel_cls.reporting.decision_words import left_out
from accel_cls.reporting.facts import Facts


@dataclass(frozen=True)
class Reached:
    """What came out on the rows of a part."""

    value: str
    about: tuple[str, ...]  # how much is decided, and what else is known
    is_below: bool  # these rows speak against the promise


@dataclass(frozen=True)
class Rule:
    """A rule that is kept."""

    key: str  # in the recipe, below `decide`
    about: str  # the class it is of, or ""
    threshold: str
    asked: str
    promised: str
    reached: tuple[Reached, ...]  # by part


@dataclass(frozen=True)
class ClassRow:
    """A class of rules that have a number for each."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Decisions:
    """See `content`."""

    confidence: float
    parts: tuple[str, ...]
    part_rows: tuple[int, ...]
    rules: tuple[Rule, ...]
    left_out: tuple[str, ...]  # why, a sentence for each rule
    overall: tuple[tuple[str, float | None, float | None], ...]  # of each part, what is decided and right of it
    class_header: tuple[str, ...]
    classes: tuple[ClassRow, ...]


def content(facts: Facts) -> Decisions | None:
    """None where the recipe has no rules, and of runs of older versions."""
    found = facts.results.get("decisions")
    if not found:
        return None
    parts = ("validation", "test") if facts.results["test"] else ("validation",)
    kept = [rule for rule in found["rules"] if rule["kept"]]
    overall = tuple((part, found[part]["share"], found[part]["accuracy"]) for part in parts if found[part])
    header, rows = _by_class(kept, parts, facts.names)
    return Decisions(
        found["confidence"],
        parts,
        tuple(facts.results["rows"][part] for part in parts),
        tuple(_rule(rule, parts) for rule in kept),
        tuple(left_out(rule) for rule in found["rules"] if not rule["kept"]),
        overall,
        header,
        rows,
    )


def _rule(rule: dict[str, Any], parts: Sequence[str]) -> Rule:
    threshold, target, promised = rule.get("threshold"), rule.get("target"), rule.get("promised")
    if rule["rule"] == "coverage":
        low, high = rule["between"]
        promise = f"{low:.3f} to {high:.3f}"
    else:
        promise = "–" if promised is None else f"{promised:.4f}"
    where = "by class" if rule["rule"] == "threshold" else "any" if not threshold else f"{threshold:.4f}"
    asked = "best F1" if target == "f1" else "–" if target is None else f"{target:g}"
    return Rule(rule["rule"], rule.get("class", ""), where, asked, promise, tuple(_reached(rule, p) for p in parts))


def _reached(rule: dict[str, Any], part: str) -> Reached:
    found, kind = rule[part], rule["rule"]
    is_below = bool(found.get("is_below"))
    if kind == "precision":
        share = found["decided"] / found["candidates"] if found["candidates"] else 0.0
        decided = f"{found['decided']:,} decided, {share:.1%} of those predicted"
        return Reached(_score(found["precision"]), (decided, f"recall {_score(found['recall'])}"), is_below)
    if kind == "threshold":
        about = "macro F1, all decided", f"{_score(found['f1_macro_at_0.5'])} from 0.5 on"
        return Reached(_score(found["f1_macro"]), about, False)
    if kind == "coverage":
        alone = f"{found['of_one_class']:.1%} of the sets are one class"
        return Reached(_score(found["coverage"]), (alone, f"{found['mean_size']:.2f} classes on average"), is_below)
    decided = "none decided" if found["share"] is None else f"{found['share']:.1%} of all texts decided"
    return Reached(_score(found["accuracy"]), (decided,), is_below)


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _by_class(
    rules: Sequence[dict[str, Any]], parts: Sequence[str], names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[ClassRow, ...]]:
    """What rules have for each class: thresholds, and how much of it is in its sets."""
    columns: dict[str, Sequence[float | None]] = {}
    for rule in rules:
        if rule["rule"] == "threshold":
            columns["threshold"] = [rule["thresholds"][name] for name in names]
        if rule["rule"] == "coverage":
            columns |= {f"coverage, {part}": rule[part]["coverage_by_class"] for part in parts}
    if not columns:
        return (), ()
    rows = zip(names, zip(*columns.values(), strict=True), strict=True)
    return tuple(columns), tuple(ClassRow(name, tuple(map(_score, values))) for name, values in rows)
