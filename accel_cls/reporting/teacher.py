"""What a finished run says of the model that taught it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accel_cls.data.corpus import Corpus
from accel_cls.inference.learned_rows import learned_by
from accel_cls.recipe import Recipe


def teacher_results(recipe: Recipe, corpus: Corpus) -> dict[str, Any] | None:
    """Of results.json: what taught, how much, and which judged texts it had learned; None where nothing did."""
    if recipe.distill is None:
        return None
    learned = learned_by(recipe.distill.teacher, corpus)
    return {
        "folder": recipe.distill.teacher,
        "weight": recipe.distill.weight,
        "temperature": recipe.distill.temperature,
        "hidden": recipe.distill.hidden,
        "texts_without_labels": corpus.learned - len(corpus.labelled),
        "judged_texts_learned": learned.counts,
        "why_not_known": learned.why,
    }


def describe_teaching(results: dict[str, Any]) -> str | None:
    """What taught a run and how, from its results.json, in a sentence; None where nothing did."""
    teacher = results.get("teacher")
    if not teacher:  # not there in runs of older versions
        return None
    texts = teacher["texts_without_labels"]
    more = f", with {texts:,} more texts without labels" if texts else ""
    share = f"{teacher['weight']:g} of the loss, at temperature {teacher['temperature']:g}"
    share += f"; {teacher['hidden']:g} times the distance of vectors" if teacher.get("hidden") else ""
    return f"Taught by {teacher['folder']} ({share}{more})"


def flattered_by(teacher: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """What is to be known of a teacher that had learned judged texts, or may have, and what to do about it.

    Args:
        teacher: see `teacher_results`.
    """
    if not teacher:
        return
    counts = teacher["judged_texts_learned"]
    if counts is None:
        what = "whether the teacher was trained on texts that are judged here is not known"
        yield f"{what}: {teacher['why_not_known']}", "where it was, these scores flatter"
    elif any(counts.values()):
        told = " and ".join(f"{count:,} of the {part} texts" for part, count in counts.items() if count)
        do = "give both recipes the same data and data.split_seed, or judge by rows that neither has learned"
        do += "; of a run that was refitted, which has learned its validation texts, name selected_model/"
        yield f"the teacher was trained on {told}, with their labels: these scores flatter", do


def describe_flattery(teacher: dict[str, Any] | None) -> list[str]:
    """The same in sentences."""
    return [f"{what}; {do}" for what, do in flattered_by(teacher)]
