"""The recipe's section `average`: a mean of the weights at several times of the training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.section import Section, setting


class Average(Section):
    """A mean of the weights at several times, as a better model than the last ones. One of the three."""

    ema: float | None = setting(
        None,
        "a number above 0 and below 1, such as 0.999",
        "after each update the mean of the weights moves towards them, with so much of what it was: what is evaluated "
        "and kept is the mean, while training goes on from the weights",
        "at 0 it would be the last weights, and at 1 the first",
        gt=0,
        lt=1,
    )
    last: int | None = setting(
        None,
        "a whole number of evaluations, 2 or more",
        "at the end the mean of the weights at the last so many evaluations is evaluated, and kept where its score is "
        "no worse than the best one's",
        "the mean of one is itself",
        ge=2,
    )
    start: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] | None = setting(
        None,
        "a number above 0 and below 1, such as 0.5; or 'auto'",
        "what is evaluated and kept is a mean of the weights and of those before the first update, the fitted head "
        "among them, which count so much (Wortsman et al. 2022, WiSE-FT); training goes on from the weights "
        "themselves. 'auto' makes it at the end only, with 0.5, and keeps it where it and the weights before are both "
        "about as good as the best evaluation, at most a point worse; a refit does as its run did. With "
        "train.head_init: probe",
        "at 0 it would be the last weights, and at 1 those before the training",
    )

    @property
    def is_made_at_the_end(self) -> bool:
        """Whether the mean is judged once, after the last update, and perhaps not kept."""
        return self.last is not None or self.start == "auto"
