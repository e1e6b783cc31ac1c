"""The recipe's section `loss`: what is minimized."""

from __future__ import annotations

from typing import Literal

from accel_cls.recipe.section import Section, setting

FOCAL, GENERALIZED = "focal", "generalized_cross_entropy"


class Loss(Section):
    """What is minimized; train.class_weights and train.label_smoothing belong to it, too."""

    kind: Literal["cross_entropy", "focal", "generalized_cross_entropy"] = setting(
        "cross_entropy",
        f"'cross_entropy', '{FOCAL}' or '{GENERALIZED}'",
        "a text's own loss, of classes: 'focal' counts texts less that are right already (Lin et al. 2017), "
        f"'{GENERALIZED}' those less that look wrong, as wrong labels do (Zhang & Sabuncu 2018)",
    )
    focal_gamma: float = setting(
        2.0,
        "a number from 0 to 10",
        "how much less texts count that are right already: by (1 - probability)^gamma; 0 is cross-entropy",
        "beyond, hardly anything is left of the loss of any text",
        ge=0,
        le=10,
    )
    gce_q: float = setting(
        0.7,
        "a number above 0, 1 at most",
        "(1 - probability^q) / q is the loss: near 0 it is cross-entropy, at 1 the absolute error",
        "0 divides by 0, and beyond 1 what is wrong by far is not learned at all",
        gt=0,
        le=1,
    )
    logit_adjustment: float = setting(
        0.0,
        "a number from 0 to 2",
        "this many times the logarithm of each class's share of the training examples is added to its logit while "
        "training, so that the model itself favours large classes that much less (Menon et al. 2021): at 1 it answers "
        "as if all classes were equally frequent, at 0 they are as frequent as they are",
        "beyond, rare classes are predicted nearly always",
        ge=0,
        le=2,
    )
    r_drop: float = setting(
        0.0,
        "a number, 0 or more",
        "weight of how far two passes with different dropout are apart: each text goes through the model twice "
        "(Liang et al. 2021); 0 turns it off",
        "a negative one would drive them apart",
        ge=0,
    )
    contrastive: float = setting(
        0.0,
        "a number, 0 or more",
        "weight of the supervised contrastive loss, by which the texts of a class get like vectors within a "
        "micro-batch (Khosla et al. 2020, Gunel et al. 2021); 0 turns it off",
        "a negative one would mix the classes",
        ge=0,
    )
    contrastive_temperature: float = setting(
        0.3,
        "a number above 0, 10 at most",
        "divides the cosines of the contrastive loss: the smaller, the more only the nearest texts count",
        "cosines can't be divided by 0, and beyond 10 all are the same",
        gt=0,
        le=10,
    )
    adversarial: Literal["fgm", "pgd"] | None = setting(
        None,
        "null, 'fgm' or 'pgd'",
        "add the loss of each text with its embeddings moved to where it is worse: in one step (Miyato et al. 2017) "
        "or in several (Madry et al. 2018)",
    )
    adversarial_size: float = setting(
        1.0,
        "a number above 0",
        "how far each text's embeddings are moved, as the norm over all its tokens",
        "at 0 nothing is moved",
        gt=0,
    )
    adversarial_steps: int = setting(
        3, "a whole number from 2 to 20", "steps of 'pgd', each a pass more", "one step is 'fgm'", ge=2, le=20
    )

    @property
    def of_last_layer(self) -> Loss:
        """What a last layer is fitted by, whatever else is said here: cross-entropy, as that is convex."""
        return Loss(logit_adjustment=self.logit_adjustment)

    @property
    def wraps(self) -> bool:
        """Whether it is more than the loss of one pass's logits."""
        return bool(self.r_drop or self.contrastive or self.adversarial)

    @property
    def steps(self) -> int:
        """In which embeddings are moved."""
        return {None: 0, "fgm": 1, "pgd": self.adversarial_steps}[self.adversarial]

    @property
    def kept_passes(self) -> int:
        """Forward passes that are in memory at once; one that only finds where to move to is over by then."""
        return (2 if self.r_drop else 1) * (2 if self.adversarial else 1)

    @property
    def work(self) -> int:
        """What a text costs, in forward passes: 3 with the backward pass; 1 more for one back to the embeddings."""
        finding = 1 + 2 * (self.steps - 1) if self.steps else 0  # from the clean pass, and from each moved one
        return 3 * self.kept_passes + (2 if self.r_drop else 1) * finding
