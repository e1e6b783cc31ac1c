"""How a classifier takes texts of different length at once: asked of the model, not of a list of families.

Some read the last token that is not padding, by the id that their configuration names; some the last column, and want
padding on the left; some see padding, whatever the attention mask says. A model that answers alike alone and among
longer texts is right; one that does not is told what padding is, and asked again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.errors import UserError, shown
from accel_cls.models.capabilities.text_limit import text_limit
from accel_cls.models.configuration import parts_of

Side = Literal["right", "left"]

# What a model is tried with: many short words, so that tokens differ; lengths that no stride or block divides alike.
TRIAL_TEXTS = ("a", "b 1 c 2 d 3 e", "f g 4 h i 5 j k 6 l m 7 n o 8 p q 9 r s 0 t")
# Of the spread of the answers. In float32 those of a padded text are off by 1e-6 of it, and by 1e-1 where it is wrong.
_TOLERANCE = 1e-3
_ROUNDING = 1e-5  # of the answers themselves, where they are nearly all the same
# Likewise: the spread of answers in which the texts have no part. Some processors' products round otherwise in rows of
# another length, which is up to 6e-7 here; the smallest spread of a random model of two layers was 9e-4.
_CONSTANT = 5e-6


@dataclass(frozen=True)
class Padding:
    """What stands for no text in a row of a padded batch, and in a whole row of one."""

    token: int
    side: Side = "right"
    filler: tuple[int, ...] = ()  # the tokens of a row without a text: the empty text's; none: a token of padding


def right_padding(tokenizer: PreTrainedTokenizerBase) -> Padding:
    """That of the families that are packed, which are known to take it. Settles the side in the tokenizer."""
    _settle(tokenizer, "right")
    return Padding(int(tokenizer.pad_token_id), "right", tuple(tokenizer("")["input_ids"]))


def find_padding(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, notes: list[str], place: str = "model.name"
) -> Padding:
    """Find a way to pad texts by which a classifier answers as it does without padding.

    May write the padding token's id into the model's configuration, and the side into the tokenizer: both are saved
    with the model, and transformers' pipeline reads them.

    Args:
        model: the classifier, on the CPU.
        tokenizer: its tokenizer, with a padding token.
        name: what the user calls the folder.
        notes: takes what was changed.
        place: where the user named it.

    Raises:
        UserError: where there is no such way.
    """
    token = int(tokenizer.pad_token_id)
    longest = text_limit(model, tokenizer.model_max_length)
    encoded = tokenizer(list(TRIAL_TEXTS), truncation=True, max_length=longest)
    # A model of texts and images has its padding token in the text's part, one with a decoder perhaps in both.
    parts, reason = [part for part in parts_of(model.config) if hasattr(part, "pad_token_id")], ""
    known = [part.pad_token_id for part in parts]
    for pad_token_ids, side in _ways(known, token):
        _set_padding_tokens(parts, pad_token_ids)
        try:
            alone, together = _answers(model, encoded, token, side)
        except UserError:  # a hook of ours
            raise
        except Exception as error:  # whatever the family's code says to what it can't take
            reason = reason or f"it fails on a short text ({shown(f'{type(error).__name__}: {error}', 200)})"
            continue
        if _are_constant(alone) and not _is_blank(model):
            # A family's own kernels are missing, or it reads the first token and sees only what came before.
            reason = "they all get the same answer, whatever they say"
            break
        if _are_alike(alone, together):
            _settle(tokenizer, side)
            if pad_token_ids != known:
                other = next(one for one in known if one != token)
                what = "names no padding token" if other is None else f"names {other} as its padding token"
                notes.append(f"the config.json of {name} {what}; its tokenizer has {token}, which is taken for both")
            return Padding(token, side, tuple(tokenizer("")["input_ids"]))
    _set_padding_tokens(parts, known)
    why, kind = reason or "its answers change with padding", type(model).__name__
    raise UserError(f"{place}: {name}, a {kind}, can't classify texts of different length: {why}. Take another model")


def pad_rows(encoded: Mapping[str, Sequence[Sequence[int]]], token: int, side: Side) -> dict[str, torch.Tensor]:
    """What a tokenizer makes of several texts as a padded batch: each int64 [texts, the longest's tokens].

    Args:
        encoded: `input_ids`, `attention_mask`, and `token_type_ids` where the model takes them.
        token: of padding.
        side: where it lies.
    """
    width = max(map(len, encoded["input_ids"]))
    batch = {}
    for name, rows in encoded.items():
        values = np.full((len(rows), width), token if name == "input_ids" else 0, np.int64)
        for at, row in enumerate(rows):
            values[at, columns_of_text(len(row), width, side)] = row
        batch[name] = torch.from_numpy(values)
    return batch


def trial_rows(tokenizer: PreTrainedTokenizerBase, padding: Padding) -> dict[str, torch.Tensor]:
    """The first two of the texts that a model is tried with, as `pad_rows` makes them."""
    return pad_rows(tokenizer(list(TRIAL_TEXTS[:2])), padding.token, padding.side)


def columns_of_text(tokens: int, width: int, side: Side) -> slice:
    """Where a text of so many tokens lies in a row of `width` that is padded on that side."""
    return slice(0, tokens) if side == "right" else slice(width - tokens, width)


def _ways(known: list[int | None], token: int) -> Iterator[tuple[list[int | None], Side]]:
    """What may stand in each part of the configuration, and the side: as it is first, and right before left."""
    wanted: list[int | None] = [token] * len(known)
    ids = [known] if known == wanted else [known, wanted]
    sides: list[Side] = ["right", "left"]
    return ((pad_token_ids, side) for side, pad_token_ids in itertools.product(sides, ids))


def _set_padding_tokens(parts: Sequence[Any], pad_token_ids: Sequence[int | None]) -> None:
    for part, pad_token_id in zip(parts, pad_token_ids, strict=True):
        part.pad_token_id = pad_token_id


@torch.no_grad()
def _answers(
    model: PreTrainedModel, encoded: Mapping[str, Sequence[Sequence[int]]], token: int, side: Side
) -> tuple[torch.Tensor, torch.Tensor]:
    """The texts' logits, float32 [texts, classes]: of each alone, and of all together."""
    was_training = model.training
    model.eval()
    try:
        each = [{name: rows[i : i + 1] for name, rows in encoded.items()} for i in range(len(TRIAL_TEXTS))]
        alone = torch.cat([model(**pad_rows(one, token, side)).logits for one in each]).float()
        return alone, model(**pad_rows(encoded, token, side)).logits.float()
    finally:
        model.train(was_training)


def _are_alike(alone: torch.Tensor, together: torch.Tensor) -> bool:
    allowed = _TOLERANCE * _spread(alone) + _ROUNDING * float(alone.abs().max())
    return bool((alone - together).abs().max() <= allowed)


def _are_constant(alone: torch.Tensor) -> bool:
    return _spread(alone) <= _CONSTANT * float(alone.abs().max())


def _spread(logits: torch.Tensor) -> float:
    """How far the texts are apart, in the class in which they are furthest."""
    return float((logits.amax(0) - logits.amin(0)).max())


def _is_blank(model: PreTrainedModel) -> bool:
    """Whether a head of zeros makes all answers alike, whatever the encoder says."""
    heads = [p for p in model.parameters() if p.ndim == 2 and len(p) == model.config.num_labels]
    return any(not head.any() for head in heads)


def _settle(tokenizer: PreTrainedTokenizerBase, side: Side) -> None:
    """Let the tokenizer pad on that side, also as it is saved."""
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = side
