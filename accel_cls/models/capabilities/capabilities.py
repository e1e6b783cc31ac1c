"""How long texts a model takes, and how they may lie in a batch: the answers that everybody goes by."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.models.capabilities.padding import Padding, padding_of
from accel_cls.models.capabilities.text_limit import text_limit
from accel_cls.models.packing import can_pack


@dataclass(frozen=True)
class Capabilities:
    """What a classifier can take."""

    packed: bool  # several texts in a row, see `make_packable`
    longest: int  # tokens of a text, special ones included, that it and its tokenizer take
    padding: Padding  # of texts of different length, where each has a row


def ask_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, notes: list[str], place: str = "model.name"
) -> Capabilities:
    """What a classifier can take. May settle its padding token and side, in configuration and tokenizer.

    Args:
        model: the classifier, on the CPU.
        tokenizer: its tokenizer, with a padding token.
        name: what the user calls the folder.
        notes: takes what was changed.
        place: where the user named it.

    Raises:
        UserError: where it can't classify texts of different length.
    """
    padding = padding_of(model, tokenizer, name, notes, place)
    return Capabilities(can_pack(model.config), text_limit(model, tokenizer.model_max_length), padding)
