"""How long a text a model can take."""

from __future__ import annotations

from transformers import PreTrainedModel

from accel_cls.models.own.configurations import encoder_config

# Tokens: longer than any text, and still a number that all libraries can count to.
UNLIMITED = 1_000_000
# What transformers calls a table of positions, by the last part of the module's name. Tables of relative positions
# have other names: distances beyond them share their last entry.
_TABLES = {"position_embeddings", "embed_positions", "char_position_embeddings", "wpe"}


def longest_text(model: PreTrainedModel) -> int | None:
    """The most tokens of a text, special tokens included, that a model can take; None where there is no limit.

    What its tables of positions have room for, less the entries that stand for padding; and no more than the
    positions that its configuration speaks of, which is what a model with rotary positions was trained for.
    Relative positions (XLNet, T5, DeBERTa without a table) have no end.

    Args:
        model: any, also on the meta device.
    """
    limits = [_room(module) for name, module in model.named_modules() if _is_table(name) and hasattr(module, "weight")]
    config = encoder_config(model.config)
    configured = getattr(config, "max_position_embeddings", getattr(config, "max_seq_len", None))  # MPT's
    # XLNet says -1. DeBERTa's is where relative distances begin to share an entry, unless it has a table, too.
    is_relative = getattr(config, "relative_attention", False) and not limits
    if isinstance(configured, int) and configured > 0 and not is_relative:
        limits.append(configured)
    return min(limits, default=None)


def text_limit(model: PreTrainedModel, tokenizers: float) -> int:
    """The most tokens of a text that both a model and its tokenizer take.

    Args:
        model: any.
        tokenizers: the tokenizer's `model_max_length`, 1e30 where it knows no limit.
    """
    return int(min(tokenizers, longest_text(model) or UNLIMITED, UNLIMITED))


def _is_table(name: str) -> bool:
    return name.rpartition(".")[2] in _TABLES


def _room(table: object) -> int:
    """For how many tokens a table of positions has entries."""
    entries = len(table.weight)  # type: ignore[attr-defined]
    padding, offset = getattr(table, "padding_idx", None), getattr(table, "offset", None)
    if isinstance(offset, int):  # BART's line: the first entries are for nothing
        return entries - offset
    return entries if padding is None else entries - padding - 1  # RoBERTa's: positions begin after padding's own
