"""What of a model is trained: the parameters that an answer depends on. And what changes besides them."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.errors import UserError, listed, shown
from accel_cls.models.capabilities.padding import Padding, trial_rows
from accel_cls.models.own.configurations import encoder_config
from accel_cls.models.packing import can_pack

_BACKWARD_IN_TRAINING = ("reformer",)


def settle_training(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, padding: Padding, notes: list[str]
) -> None:
    """Freeze the parameters that no loss depends on: DDP would wait for their gradients, which never come.

    Families that are packed have none.

    Args:
        model: the classifier, on the CPU.
        tokenizer: its tokenizer.
        padding: how it takes texts of different length.
        notes: takes what was frozen, and what changes without being trained.

    Raises:
        UserError: where the model fails on a short text in training.
    """
    if can_pack(model.config):
        return
    inputs = trial_rows(tokenizer, padding)
    was_training = model.training
    try:
        unused = _unused_parameters(model, inputs)
        changing = _changing_buffers(model, inputs)
    except Exception as error:  # whatever the family's code says to what it can't take
        reason = shown(f"{type(error).__name__}: {error}", 200)
        kind = type(model).__name__
        raise UserError(f"model.name: a {kind} fails on a short text in training ({reason})") from error
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)
    for name in unused:
        model.get_parameter(name).requires_grad_(False)
    if unused:
        notes.append(f"no answer depends on {listed(unused, 3)}: not trained")
    if changing:
        notes.append(f"{listed(changing, 3)} keep statistics of what goes through: each process of its own texts")


def _unused_parameters(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> list[str]:
    """The names of those without a gradient.

    By a real pass: the graph does not show what Reformer's own functions do, and that wants to be in training for it.
    Others are not, where they might drop a whole layer.
    """
    model.train(encoder_config(model.config).model_type in _BACKWARD_IN_TRAINING)
    model(**inputs).logits.sum().backward()
    return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


@torch.no_grad()
def _changing_buffers(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> list[str]:
    """The names of buffers that a pass in training changes, such as I-BERT's ranges. They keep their values."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    model(**inputs)
    changed = [name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])]
    for name in changed:
        model.get_buffer(name).copy_(before[name])
    return changed
