"""The recipe's section `distill`: a finished model that teaches this one."""

from __future__ import annotations

from accel_cls.recipe.section import Section, setting
from accel_cls.recipe.sections.data import Files


class Distill(Section):
    """A finished model whose answers a smaller one learns, beside the labels (Hinton et al. 2015).

    The loss is (1 - weight) times the task's, and weight times temperature² times the divergence of this model's
    softened answer from the teacher's; and `hidden` times the distance of what both made of the text before they
    answered. docs/craft.md says when that helps.
    """

    teacher: str = setting(
        ...,
        "a run folder, or a model folder",
        "the model that teaches: of the same task and the same classes; it may have another tokenizer",
        min_length=1,
    )
    temperature: float = setting(
        2.0,
        "a number from 0.1 to 100",
        "what the logits of both are divided by, so that the teacher's small probabilities count, too; regression "
        "has none",
        "below, only the first class is left of an answer; above, all classes look alike",
        ge=0.1,
        le=100,
    )
    weight: float = setting(
        0.5,
        "a number from 0 to 1",
        "the teacher's share of the loss; with 1 labels are not looked at",
        "it is a share",
        ge=0,
        le=1,
    )
    hidden: float = setting(
        0.0,
        "a number from 0 to 100",
        "how much counts, beside all else, the squared distance of the vector that this model's last layer reads from "
        "that of the teacher, both of length 1; of a wider teacher, of its principal components",
        "less would drive them apart, more leave nothing of the answers",
        ge=0,
        le=100,
    )
    texts: Files | None = setting(
        None,
        "a file, a glob or a list of files",
        "more texts, in the columns of data.text, without labels: learned by the teacher's answers alone. Those that "
        "are training, validation or test texts, too, are left out",
    )
