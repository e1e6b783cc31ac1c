"""The objective of a recipe."""

from __future__ import annotations

from accelerate import Accelerator
from accelerate.utils import DistributedType

from accel_cls.devices.prepare import is_xla
from accel_cls.errors import UserError
from accel_cls.models.capabilities.watching import WatchedParts
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.training.objective import Objective, Supervised
from accel_cls.training.objectives.adversarial import Adversarial
from accel_cls.training.objectives.contrastive import Contrastive
from accel_cls.training.objectives.r_drop import RDrop


def require_objective(recipe: Recipe, accelerator: Accelerator) -> None:
    """Raise UserError where the hardware is one on which what goes into the model's passes has never been run."""
    kind, loss = accelerator.distributed_type, recipe.loss
    if kind not in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM) and not is_xla(accelerator):
        return
    found = {f"loss.{key}": getattr(loss, key) for key in ("adversarial", "r_drop", "contrastive")}
    found["distill.hidden"] = recipe.distill.hidden if recipe.distill is not None else 0
    for key, value in found.items():
        if value:
            raise UserError(
                f"{key}: found {value} under {kind.value}; expected a profile with DDP or FSDP, or one process: it "
                "goes into the model's passes, and was never run elsewhere. Leave it out, or change `hardware`"
            )


def objective_of(form: Form, inner: Objective, supervised: Supervised, watched: WatchedParts) -> Objective:
    """What a recipe's section `loss` says: a pass's losses, and what wraps them, adversarial training outermost.

    Args:
        form: the section.
        inner: of one pass.
        supervised: the task's loss.
        watched: the parts of the model that are looked into.
    """
    objective = inner
    if form.contrastive:
        assert watched.last_layer is not None
        objective = Contrastive(
            objective, supervised, watched.last_layer, form.contrastive, form.contrastive_temperature
        )
    if form.r_drop:
        objective = RDrop(objective, supervised, form.r_drop)
    if watched.embedding is not None:
        objective = Adversarial(objective, watched.embedding, form.adversarial_size, form.steps)
    return objective
