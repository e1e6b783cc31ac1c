"""What no single key of the section `decide` can say: rules that a task has not, or that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from accel_cls.errors import listed
from accel_cls.recipe.schema import Recipe
from accel_cls.recipe.sections.decide import Decide

_WHY_NOT = {
    "accuracy": "for one class a text; with several, decide.precision bounds each class by itself",
    "abstain_below": "for one class a text; with several, decide.threshold is what a class is said from on",
    "coverage": "for one class a text: a set that holds all of several is another thing, and not made here",
    "threshold": "for task: multi_label; with one class a text, decide.abstain_below is the least probability",
}
_OF_TASK = {
    "single_label": ("precision", "accuracy", "abstain_below", "coverage"),
    "ordinal": ("precision", "accuracy", "abstain_below", "coverage"),
    "multi_label": ("precision", "threshold"),
}


def broken_decisions(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key to blame, what is wrong and what to do) for each broken rule of `decide`."""
    decide = recipe.decide
    if decide is None:
        return
    known = _OF_TASK.get(recipe.task, ())
    for key in Decide.model_fields:
        if getattr(decide, key) is not None and key not in known:
            why = _WHY_NOT[key] if known else "for tasks with classes"
            yield ("decide", key), f"found beside task: {recipe.task}, but it is {why}; leave it out"
    if decide.accuracy is not None and decide.abstain_below is not None:
        message = f"found {decide.abstain_below} beside decide.accuracy, which finds such a threshold; leave one out"
        yield ("decide", "abstain_below"), message
    if decide.accuracy is not None and decide.precision is not None:
        message = "found beside decide.precision: what one leaves out changes what the other promises; choose one"
        yield ("decide", "accuracy"), message
    yield from _contradicting_thresholds(decide)


def _contradicting_thresholds(decide: Decide) -> Iterator[tuple[tuple[str, ...], str]]:
    """Thresholds of classes whose threshold follows from their precision."""
    if decide.threshold is None or decide.precision is None:
        return
    if not isinstance(decide.precision, dict):
        message = "found beside decide.precision, from which the threshold of every class follows; leave one out"
        yield ("decide", "threshold"), message
    elif isinstance(decide.threshold, dict) and (both := [str(n) for n in decide.threshold if n in decide.precision]):
        message = f"found one of {listed(both)}, whose threshold follows from decide.precision; leave one out"
        yield ("decide", "threshold"), message


def unknown_classes(decide: Decide, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) where a rule names a class that there is not."""
    known = [*names]
    for key in ("precision", "threshold"):
        rule = getattr(decide, key)
        unknown = [str(name) for name in rule if str(name) not in known] if isinstance(rule, Mapping) else []
        if unknown:
            yield key, f"found {listed(unknown)}; expected some of the classes: {listed(known)}"
