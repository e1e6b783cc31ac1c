"""Sections of report.html as arithmetic on results.json, without a run: what is drawn where, and what is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from accel_cls.reporting.facts import Facts
from accel_cls.reporting.html import behaviour, decisions, reliability, slices
from accel_cls.reporting.html.behaviour import told_apart
from accel_cls.reporting.html.spans import spans
from accel_cls.reporting.html.suspects import shown_suspects
from accel_cls.reporting.slices import MINUS_ERROR
from accel_cls.runs.suspects import KeptSuspect


def facts(**results: Any) -> Facts:
    return cast(Facts, SimpleNamespace(results=results, names=["A", "B"]))


def test_intervals_lie_over_a_common_axis() -> None:
    drawn = spans([(0.5, 0.4, 0.7), (0.9, 0.8, 1.0)], guide=0.6, width=108)
    assert (drawn.first, drawn.last) == ("0.4", "1")
    assert [(one.low, one.at, one.high) for one in drawn.spans] == [(4, 20.7, 54), (70.7, 87.3, 104)]
    assert drawn.guide == pytest.approx(4 + 100 / 3, abs=0.1)
    same = spans([(0.5, 0.5, 0.5)] * 2)
    assert 4 <= same.spans[0].at <= same.width - 4
    assert spans([(0.5, 0.4, 0.7)], from_zero=True).first == "0"


def one_slice(where: str, score: float, **more: Any) -> dict[str, Any]:
    interval = [score - 0.1, score + 0.2]
    return {"where": [["shop", where]], "rows": 30, "score": score, "interval": interval, "p": 0.5, **more}


def test_errors_are_told_as_people_say_them() -> None:
    """Less is better: what is minus the error in results.json is an error in the page, and a worse part has more."""
    found = {
        "score": MINUS_ERROR, "rows": 60, "mean": -0.6, "looked_at": 3, "least_rows": 20,
        "single": [one_slice("x", -0.9, difference=-0.5)],
        "worst": [one_slice("x", -0.9, difference=-0.5, corrected_p=0.01)],
    }  # fmt: skip
    shown = slices.content(facts(slices={"validation": found}))
    assert shown is not None
    assert shown.score == "mean absolute error"
    (part,) = shown.parts
    (row,) = part.table
    assert (row.by, row.value, row.score, row.difference) == ("shop", "x", 0.9, 0.5)
    assert (row.low, row.high) == pytest.approx((0.7, 1.0))
    assert part.mean == 0.6
    assert "mean absolute error is 0.9 on the 30 rows with shop x, and 0.4 on all others" in part.worst[0]
    assert slices.content(facts()) is None
    assert slices.content(facts(slices={"validation": found | {"single": []}})) is None


@pytest.mark.parametrize(
    ("one", "other", "own"),
    [
        ("很好吃", "不好吃", ("很", "不")),
        ("好吃", "好吃！", ("", "！")),
        ("aab", "aaab", ("", "a")),
        ("", "x", ("", "x")),
        ("same", "same", ("", "")),
    ],
)
def test_what_two_texts_do_not_share_is_marked(one: str, other: str, own: tuple[str, str]) -> None:
    cuts = told_apart(one, other)
    assert tuple(cut.own for cut in cuts) == own
    assert tuple(cut.begin + cut.own + cut.end for cut in cuts) == (one, other)


def test_ways_that_should_turn_the_answer_are_told_from_the_others() -> None:
    def way(name: str, expected: str, after: str) -> dict[str, Any]:
        example = {
            "row": "a.csv:1", "text": "x", "changed": "y", "predicted": "A", "predicted_changed": after,
            "probability_change": 0.2,
        }  # fmt: skip
        return {"name": name, "expected": expected, "texts": 9, "differ": 0.1, "interval": [0, 0.4],
                "examples": [example]}  # fmt: skip

    tests = [way("spaces", "same", "B"), way("negation", "opposite", "A")]
    found = {"texts": 9, "measure": "labels that differ", "tests": tests}
    shown = behaviour.content(facts(behaviour=found))
    assert shown is not None
    assert [[one.name for one in kind] for kind in (shown.same, shown.opposite)] == [["spaces"], ["negation"]]
    assert (shown.axis.first, shown.axis.last) == ("0%", "40%")
    # Neither did as it should.
    assert not shown.same[0].examples[0].is_expected
    assert not shown.opposite[0].examples[0].is_expected
    assert behaviour.content(facts(behaviour=None)) is None


def judged(error: float) -> dict[str, Any]:
    bins = {"count": [0, 1, 3], "confidence": [None, 0.5, 0.9], "right": [None, 1.0, 2 / 3]}
    return {"log_loss": 0.5, "brier": 0.2, "ece": error, "reliability": bins}


def test_reliability_is_of_what_predict_says() -> None:
    parts = {"validation": {"before": judged(0.3), "after": judged(0.1)}, "test": None}
    kept = {"temperature": 1.5, "why_none": None, "rows": 4} | parts
    shown = reliability.content(facts(calibration=kept))
    assert shown is not None
    assert (shown.error, shown.temperature) == (0.1, 1.5)
    assert (shown.said, shown.right) == pytest.approx((0.8, 0.75))
    assert [line.name for line in shown.charts[0].lines] == ["as sure as right", "as trained", "with the temperature"]
    assert [one.is_said for one in shown.measured] == [False, True]
    none = reliability.content(facts(calibration=kept | {"temperature": 1.0, "why_none": "it would be worse"}))
    assert none is not None
    assert (none.error, none.temperature, none.why_none) == (0.3, None, "it would be worse")
    assert len(none.charts[0].lines) == 2
    assert reliability.content(facts(calibration=None)) is None


def test_rules_that_are_left_out_say_why_and_the_others_what_was_reached() -> None:
    reached = {"precision": 0.91, "recall": None, "decided": 30, "candidates": 40, "rows": 50, "is_below": True}
    kept = {"rule": "precision", "class": "A", "target": 0.95, "threshold": 0.7, "promised": 0.951, "at_most": None,
            "texts": 40, "kept": True, "validation": reached, "test": reached}  # fmt: skip
    out = {"rule": "accuracy", "target": 0.99, "threshold": None, "promised": None, "at_most": 0.9, "texts": 50,
           "kept": False, "validation": None, "test": None}  # fmt: skip
    scores = {"f1_macro": 0.8, "f1_macro_at_0.5": 0.7, "rows": 50}
    by_class = {"rule": "threshold", "target": "f1", "thresholds": {"A": 0.2, "B": 0.6}, "kept": True,
                "validation": scores, "test": scores}  # fmt: skip
    found = {"confidence": 0.95, "rules": [kept, out, by_class], "validation": None, "test": None}
    shown = decisions.content(facts(decisions=found, test={"scores": {}}, rows={"validation": 50, "test": 50}))
    assert shown is not None
    assert [(one.key, one.about, one.asked, one.promised) for one in shown.rules] == [
        ("precision", "A", "0.95", "0.9510"), ("threshold", "", "best F1", "–"),
    ]  # fmt: skip
    one = shown.rules[0].reached[1]
    assert (one.value, one.is_below) == ("0.9100", True)
    assert one.about == ("30 decided, 75.0% of those predicted", "recall –")
    assert len(shown.left_out) == 1
    assert "decide.accuracy: 0.99 can't be promised" in shown.left_out[0]
    assert [(row.name, row.values) for row in shown.classes] == [("A", ("0.2000",)), ("B", ("0.6000",))]
    assert decisions.content(facts(decisions=None)) is None


def test_page_holds_the_first_suspects_and_says_how_many_there_are() -> None:
    one = KeptSuspect("a.csv:1", ("味" * 2000,), "A", "B", "0.1", "0.9", ("model", "same text"), "why")
    shown = shown_suspects([one] * 5000)
    assert shown.found == 5000
    assert 50 < len(shown.shown) <= 200
    assert sum(len(text.encode()) for row in shown.shown for text in row.suspect.texts) <= 100_000
    assert len(shown.shown[0].suspect.texts[0]) == 400
    assert shown.kinds == ("another label is likelier", "the same text with another label")
