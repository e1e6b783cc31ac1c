"""A run's temperature and rules in words: for its last lines, its report and its advice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accel_cls.errors import shown


def describe_calibration(results: dict[str, Any]) -> str | None:
    """The temperature and what it does, from results.json; None where there is none."""
    calibration = results.get("calibration")  # not there in runs of older versions
    if calibration is None or calibration["why_none"]:
        return None
    found = calibration["temperature"]
    told = f"temperature {found:.2f}" if isinstance(found, float) else f"temperatures {_range(found.values())}"
    return f"{told}: {_before_and_after(calibration['validation'])} on rows it was not fitted on"


def _range(values: Any) -> str:
    low, high = min(values), max(values)
    return f"{low:.2f} to {high:.2f}, by class"


def _before_and_after(judged: dict[str, Any]) -> str:
    before, after = judged["before"], judged["after"]
    names = {"ece": "calibration error (ECE)", "log_loss": "log loss"}
    return ", ".join(f"{said} {before[key]:.4f} → {after[key]:.4f}" for key, said in names.items())


def describe_rules(results: dict[str, Any]) -> list[str]:
    """A sentence for each rule that is kept, on the test rows where there are some, from results.json."""
    decisions = results.get("decisions")
    if decisions is None:
        return []
    part = "validation" if results["test"] is None else "test"
    rules = [f"{_said(rule)}; {reached(rule, part)}" for rule in decisions["rules"] if rule["kept"]]
    overall = decisions[part]
    if overall is not None and not any(rule["rule"] in ("accuracy", "abstain_below") for rule in decisions["rules"]):
        rules.append(f"{_of_all(overall)} ({_rows(overall, part)})")
    return rules


def _rows(found: dict[str, Any], part: str) -> str:
    return f"{found['rows']:,} {part} rows{' it was not fitted on' if part == 'validation' else ''}"


def _said(rule: dict[str, Any]) -> str:
    kind, target = rule["rule"], rule.get("target")
    if kind == "precision":
        where = f"from probability {rule['threshold']:.3f} on" if rule["threshold"] else "whenever it is predicted"
        return f"{shown(rule['class'])} {where}, for a precision of {target:g}"
    if kind == "accuracy":
        return f"from probability {rule['threshold']:.3f} on, for an accuracy of {target:g}"
    if kind == "abstain_below":
        return f"from probability {rule['threshold']:g} on"
    if kind == "threshold":
        return f"each class from a threshold of its own on{', that of its best F1' if target else ''}"
    return f"sets of the classes from probability {rule['threshold']:.3f} on, for a coverage of {target:g}"


def reached(rule: dict[str, Any], part: str) -> str:
    """What a kept rule has reached on a part's rows."""
    found, kind = rule[part], rule["rule"]
    if kind == "precision":
        if found["precision"] is None:
            return f"never decided for ({_rows(found, part)})"
        said = f"{found['precision']:.4f} reached in {found['decided']:,} decisions"
        recall = "" if found["recall"] is None else f", {found['recall']:.1%} of the class found"
        return f"{said}{recall} ({_rows(found, part)})"
    if kind in ("accuracy", "abstain_below"):
        return f"{_of_all(found)} ({_rows(found, part)})"
    if kind == "threshold":
        return f"macro F1 {found['f1_macro_at_0.5']:.4f} → {found['f1_macro']:.4f} ({_rows(found, part)})"
    alone = f"{found['mean_size']:.2f} classes on average, {found['of_one_class']:.1%} of one class"
    return f"{found['coverage']:.4f} reached with {alone} ({_rows(found, part)})"


def _of_all(found: dict[str, Any]) -> str:
    right = "" if found["accuracy"] is None else f", accuracy {found['accuracy']:.4f} of these"
    return "nothing decided" if found["share"] is None else f"{found['share']:.1%} of all texts decided{right}"


def advice_on_rules(results: dict[str, Any]) -> Iterator[str]:
    """A sentence for each rule that is not kept, and for each that test rows do not bear out."""
    for rule in (results.get("decisions") or {"rules": []})["rules"]:
        if not rule["kept"]:
            yield left_out(rule)
        elif (test := rule["test"]) is not None and test.get("is_below"):
            yield (
                f"decide.{rule['rule']}: {rule['target']:g} was promised, but the test rows say otherwise: "
                + reached(rule, "test")
            )


def left_out(rule: dict[str, Any]) -> str:
    """Why a rule is not kept, and what to do."""
    kind = rule["rule"]
    if kind == "threshold":
        return (
            "decide.threshold: f1 is left out, and classes are said from probability 0.5 on: its thresholds have no "
            "higher macro F1 on rows that they were not fitted on"
        )
    if kind == "coverage":
        return f"decide.coverage: {rule['target']:g} can't be promised by so few distinct texts, and is left out"
    what = f" of {shown(rule['class'])}" if kind == "precision" else ""
    if not rule["texts"]:
        return (
            f"decide.{kind}: {rule['target']:g}{what} is left out: no validation row is predicted to be of the class"
        )
    return (
        f"decide.{kind}: {rule['target']:g}{what} can't be promised and is left out, so that nothing is abstained "
        f"from by it; {rule['at_most']:.3f} is the most that {rule['texts']:,} predictions of validation texts "
        "promise: ask for less, validate on more rows, or train a better model"
    )


def sections(results: dict[str, Any]) -> list[tuple[str, str, list[str], list[list[str]]]]:
    """The sections of a report: title, text, header and rows of a table."""
    calibration, decisions = results.get("calibration"), results.get("decisions")
    made = [] if calibration is None else [_calibration_section(calibration)]
    if decisions is not None:
        parts = [part for part in ("validation", "test") if part == "validation" or results["test"] is not None]
        rows = [
            [_said(rule) if rule["kept"] else f"left out: {left_out(rule)}"]
            + [reached(rule, part) if rule["kept"] else "–" for part in parts]
            for rule in decisions["rules"]
        ]
        text = (
            "`accel-cls predict` decides by these rules, which were fitted on the validation rows. Promises of "
            f"precision and accuracy hold with a confidence of {decisions['confidence']:.0%}, one by one."
        )
        made.append(("Decisions", text, ["rule", *parts], rows))
    return made


def _calibration_section(calibration: dict[str, Any]) -> tuple[str, str, list[str], list[list[str]]]:
    if why := calibration["why_none"]:
        text = f"No temperature: {why}."
    else:
        found = calibration["temperature"]
        told = (
            f"{found:.4f}" if isinstance(found, float) else ", ".join(f"{shown(k)} {v:.2f}" for k, v in found.items())
        )
        text = (
            f"`accel-cls predict` divides logits by the temperature {told}, fitted on {calibration['rows']:,} "
            "validation rows; transformers' `pipeline` does not. No prediction changes by it."
        )
    rows = []
    for part in ("validation", "test"):
        for when, said in (("before", ""), ("after", ", with the temperature")):
            judged = calibration[part] and calibration[part][when]
            if judged:
                fold = " (of rows it was not fitted on)" if (part, when) == ("validation", "after") else ""
                values = (f"{judged[key]:.4f}" for key in ("log_loss", "brier", "ece"))
                rows.append([f"{part}{said}{fold}", *values])
    return "Calibration", text, ["", "log loss", "Brier", "ECE"], rows
