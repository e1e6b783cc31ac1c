"""How a classifier takes texts of different length at once: asked of the model, not of a list of families.

Some read the last token that is not padding, by the id that their configuration names; some the last column, and want
padding on the left; some see padding, whatever the attention mask says. A model that answers alike alone and among
longer texts is right; one that does not is told what padding is, and asked again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.errors import UserError, listed, shown
from accel_cls.models.packing import can_pack
from accel_cls.models.text_limit import text_limit

Side = Literal["right", "left"]

# Of like parts, so that their tokens differ, and of lengths that no stride or block divides alike.
_TEXTS = ("a", "b 1 c 2 d 3 e", "f g 4 h i 5 j k 6 l m 7 n o 8 p q 9 r s 0 t")
# Of the spread of the answers. In float32 those of a padded text are off by 1e-6 of it, and by 1e-1 where it is wrong.
_TOLERANCE = 1e-3
_ROUNDING = 1e-5  # of the answers themselves, where they are nearly all the same
_BACKWARD_IN_TRAINING = ("reformer",)


@dataclass(frozen=True)
class Padding:
    """What stands for no text in a row of a padded batch, and in a whole row of one."""

    token: int
    side: Side = "right"
    filler: tuple[int, ...] = ()  # the tokens of a row without a text: the empty text's; none: a token of padding


def padding_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, notes: list[str], place: str = "model.name"
) -> Padding:
    """How a classifier is given texts of different length. Families that are packed are known to pad on the right.

    May change the model's configuration and the tokenizer, as `find_padding` says.

    Raises:
        UserError: where a model can't take such texts.
    """
    if can_pack(model.config):
        _settle(tokenizer, "right")
        return Padding(int(tokenizer.pad_token_id), "right", tuple(tokenizer("")["input_ids"]))
    return find_padding(model, tokenizer, name, notes, place)


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
    config, token = model.config, int(tokenizer.pad_token_id)
    longest = text_limit(model, tokenizer.model_max_length)
    encoded = tokenizer(list(_TEXTS), truncation=True, max_length=longest)
    known, reason = config.pad_token_id, ""
    for pad_token_id, side in _ways(known, token):
        config.pad_token_id = pad_token_id
        try:
            is_right = _answers_alike(model, encoded, token, side)
        except Exception as error:  # whatever the family's code says to what it can't take
            reason = reason or f"{type(error).__name__}: {error}"
            continue
        if is_right:
            _settle(tokenizer, side)
            if pad_token_id != known:
                what = "names no padding token" if known is None else f"names {known} as its padding token"
                notes.append(f"the config.json of {name} {what}; its tokenizer has {token}, which is taken for both")
            return Padding(token, side, tuple(tokenizer("")["input_ids"]))
    config.pad_token_id = known
    why = f"it fails on a short text ({shown(reason, 200)})" if reason else "its answers change with padding"
    kind = type(model).__name__
    raise UserError(f"{place}: {name}, a {kind}, can't classify texts of different length: {why}. Take another model")


def freeze_unused(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, padding: Padding, notes: list[str]
) -> None:
    """Freeze the parameters that no loss depends on: DDP would wait for their gradients, which never come.

    Families that are packed have none.

    Raises:
        UserError: where the model fails on a short text in training.
    """
    if can_pack(model.config):
        return
    inputs = pad_rows(tokenizer(list(_TEXTS[:2])), padding.token, padding.side)
    was_training = model.training
    # A real pass: the graph does not show what Reformer's own functions do, and that wants to be in training for it.
    # Others are not, where they might drop a whole layer.
    model.train(model.config.model_type in _BACKWARD_IN_TRAINING)
    try:
        model(**inputs).logits.sum().backward()
    except Exception as error:  # whatever the family's code says to what it can't take
        reason = shown(f"{type(error).__name__}: {error}", 200)
        raise UserError(
            f"model.name: a {type(model).__name__} fails on a short text in training ({reason})"
        ) from error
    unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    for name in unused:
        model.get_parameter(name).requires_grad_(False)
    if unused:
        notes.append(f"no answer depends on {listed(unused, 3)}: not trained")


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


def columns_of_text(tokens: int, width: int, side: Side) -> slice:
    """Where a text of so many tokens lies in a row of `width` that is padded on that side."""
    return slice(0, tokens) if side == "right" else slice(width - tokens, width)


def _ways(known: int | None, token: int) -> Iterator[tuple[int | None, Side]]:
    """What may stand in the configuration, and the side: as it is first, and right before left."""
    ids = [known] if known == token else [known, token]
    sides: list[Side] = ["right", "left"]
    return ((pad_token_id, side) for side, pad_token_id in itertools.product(sides, ids))


@torch.no_grad()
def _answers_alike(
    model: PreTrainedModel, encoded: Mapping[str, Sequence[Sequence[int]]], token: int, side: Side
) -> bool:
    """Whether texts get the same logits alone as among longer ones."""
    was_training = model.training
    model.eval()
    try:
        each = [{name: rows[i : i + 1] for name, rows in encoded.items()} for i in range(len(_TEXTS))]
        alone = torch.cat([model(**pad_rows(one, token, side)).logits for one in each]).float()
        together = model(**pad_rows(encoded, token, side)).logits.float()
    finally:
        model.train(was_training)
    spread = float((alone.amax(0) - alone.amin(0)).max())
    allowed = _TOLERANCE * spread + _ROUNDING * float(alone.abs().max())
    return bool((alone - together).abs().max() <= allowed)


def _settle(tokenizer: PreTrainedTokenizerBase, side: Side) -> None:
    """Let the tokenizer pad on that side, also as it is saved."""
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = side
