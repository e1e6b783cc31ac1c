"""Rules that span what a recipe says of a model from nothing."""

from __future__ import annotations

from accel_cls.recipe.sections.model import Scratch

_Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do


def broken_scratch(scratch: Scratch) -> _Broken:
    """Sizes that contradict each other."""
    if scratch.architecture == "bert" and scratch.hidden % scratch.heads:
        message = f"found {scratch.heads}; expected a divisor of model.scratch.hidden, which is {scratch.hidden}"
        return [(("model", "scratch", "heads"), message)]
    longest = scratch.longest_ngram
    if scratch.architecture == "ngrams" and (scratch.vocabulary + 1) ** longest >= 2**63:
        most = max(n for n in range(1, longest) if (scratch.vocabulary + 1) ** n < 2**63)
        message = (
            f"found {longest}; expected {most} at most with a vocabulary of {scratch.vocabulary}: an n-gram has a "
            "number of 63 bits"
        )
        return [(("model", "scratch", "longest_ngram"), message)]
    return []


def idle_in_scratch(scratch: Scratch) -> list[tuple[tuple[str, ...], str, str]]:
    """What its architecture has not; see `idle_settings`."""
    of_others = {"bert": ("longest_ngram", "ngrams"), "ngrams": ("layers", "heads")}[scratch.architecture]
    why = f"not used: a model of architecture {scratch.architecture} has none"
    keys = [key for key in of_others if key in scratch.model_fields_set]
    return [(("model", "scratch", key), why, "remove it") for key in keys]
