"""How long texts a model takes, and how they may lie in a batch: the answers that everybody goes by."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.models.capabilities.padding import Padding, find_padding, right_padding
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
    """What a classifier can take; arguments, and what may be changed in it, as `find_padding` has them.

    Raises:
        UserError: where it can't classify texts of different length.
    """
    packed = can_pack(model.config)
    padding = right_padding(tokenizer) if packed else find_padding(model, tokenizer, name, notes, place)
    return Capabilities(packed, text_limit(model, tokenizer.model_max_length), padding)
