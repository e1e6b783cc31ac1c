"""Encoders with a head that guesses hidden tokens, and what makes losses of its guesses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch.nn.functional import cross_entropy
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import MaskedLMOutput

from accel_cls.errors import UserError, listed
from accel_cls.models.capabilities.padding import TRIAL_TEXTS, pad_rows
from accel_cls.models.classifier import LOADING, check_embeddings, check_outline, check_weights
from accel_cls.models.configuration import configuration_of
from accel_cls.models.own.configurations import encoder_config
from accel_cls.recipe import Recipe
from accel_cls.tokenization.pretrained import load_error

_MASK_TOKENS = ("[MASK]", "<mask>")  # BERT's line, RoBERTa's
_TOLERANCE = 1e-3  # of the largest loss: what rounding may make of one


@dataclass(frozen=True)
class Guesses:
    """The tokens of a micro-batch that are to be guessed."""

    at: torch.Tensor  # int64 [guesses]: where they lie in the micro-batch, row after row
    tokens: torch.Tensor  # int64 [guesses]: what they were
    rows: torch.Tensor  # int64 [guesses]: whose they are
    count: int  # of rows


def load_language_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, notes: list[str]) -> PreTrainedModel:
    """The recipe's encoder with a head that guesses tokens, in fp32; `model(…, guesses=…).logits` are losses.

    These are float32 [rows, 2]: the sum of the losses of a row's guesses, and their number. Of an input without
    guesses it gives what it always does. The head computes nothing of other tokens: 85% of its work.

    Args:
        recipe: of a pre-training.
        tokenizer: the recipe's; gets a mask token where it names none.
        notes: takes what starts fresh.

    Raises:
        UserError: for a model that has no such head, or takes no texts of data.max_length.
    """
    name = recipe.model.name
    if name is None:
        model = _made(recipe, tokenizer, notes)
    else:
        model = _loaded(recipe, name, tokenizer, notes)
        _settle_mask_token(model, tokenizer, Path(name).name, notes)
    check_outline(model, recipe)
    _guess_only_hidden(model)
    _check(model, tokenizer, str(name))
    return model


def outline_language_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The same on the meta device: shapes, no weights."""
    with torch.device("meta"):
        return AutoModelForMaskedLM.from_config(_configuration(recipe, tokenizer, [])).float()


def _configuration(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, notes: list[str]) -> Any:
    return encoder_config(configuration_of(recipe, tokenizer, notes))


def _made(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, notes: list[str]) -> PreTrainedModel:
    config = _configuration(recipe, tokenizer, notes)
    set_seed(recipe.seed)  # every process draws the same whole model
    return AutoModelForMaskedLM.from_config(config).float()


def _loaded(recipe: Recipe, name: str, tokenizer: PreTrainedTokenizerBase, notes: list[str]) -> PreTrainedModel:
    config = _configuration(recipe, tokenizer, [])  # what is said of pooling is the classifier's matter
    if getattr(config, "is_encoder_decoder", False):
        raise UserError(f"model.name: {name} has a decoder, and no head that guesses hidden tokens; take an encoder")
    set_seed(recipe.seed)  # every process draws the same head
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(name, config=config, dtype=torch.float32, **LOADING)
    except Exception as error:  # whatever the folder lacks
        raise load_error(name, "model", error) from error
    check_weights(model, loading, name)
    check_embeddings(model, tokenizer, name)
    if missing := sorted(loading["missing_keys"]):
        notes.append(f"weights that {Path(name).name} does not have start fresh: {listed(missing)}")
    return model


def _settle_mask_token(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, notes: list[str]
) -> None:
    """Have a token that hides others: named, or one of the vocabulary that is not named so, or a new one."""
    if tokenizer.mask_token_id is not None:
        return
    known = tokenizer.get_vocab()
    token = next((one for one in _MASK_TOKENS if one in known), None)
    what = "is added to its vocabulary" if token is None else "stands for it"
    tokenizer.add_special_tokens({"mask_token": token or _MASK_TOKENS[0]})
    if len(tokenizer) > len(model.get_input_embeddings().weight):
        model.resize_token_embeddings(len(tokenizer))
    notes.append(f"the tokenizer of {name} names no mask token: {tokenizer.mask_token} {what}")


def _guess_only_hidden(model: PreTrainedModel) -> None:
    """Let the head read the tokens that are to be guessed, and no others."""
    given: list[Guesses] = []  # of the pass that is under way

    def enter(_: Any, values: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        given[:] = [options["guesses"]] if options.get("guesses") is not None else []
        return values, {key: value for key, value in options.items() if key != "guesses"}

    def gather(_: Any, __: Any, output: Any) -> Any:
        if given:
            hidden = output.last_hidden_state.flatten(0, 1)
            output.last_hidden_state = hidden.index_select(0, given[0].at).unsqueeze(0)
        return output

    def leave(_: Any, __: Any, output: Any) -> Any:
        return MaskedLMOutput(logits=_losses(output.logits.squeeze(0), given.pop())) if given else output

    model.register_forward_pre_hook(enter, with_kwargs=True)
    model.base_model.register_forward_hook(gather)
    model.register_forward_hook(leave)


def _losses(logits: torch.Tensor, guesses: Guesses) -> torch.Tensor:
    each = cross_entropy(logits.float(), guesses.tokens, reduction="none")
    # Not index_add, which on a GPU adds in any order; a row has few guesses.
    is_of_row = torch.arange(guesses.count, device=each.device).unsqueeze(1) == guesses.rows
    sums = torch.where(is_of_row, each, torch.zeros_like(each)).sum(1)
    return torch.stack([sums, is_of_row.sum(1).to(sums.dtype)], dim=1)


@torch.no_grad()
def _check(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise UserError where a text's losses are others among longer texts, or where the head sees only some tokens."""
    encoded = tokenizer(list(TRIAL_TEXTS))
    model.eval()

    def losses(rows: list[int]) -> torch.Tensor:
        some = {key: [values[i] for i in rows] for key, values in encoded.items()}
        inputs = pad_rows(some, int(tokenizer.pad_token_id), "right")
        at = torch.arange(len(rows)) * inputs["input_ids"].shape[1] + 1
        true = inputs["input_ids"].view(-1)[at]
        return model(**inputs, guesses=Guesses(at, true, torch.arange(len(rows)), len(rows))).logits[:, 0]

    try:
        alone, together = torch.cat([losses([i]) for i in range(3)]), losses([0, 1, 2])
    except Exception as error:  # whatever the family's code says to what it can't take
        raise load_error(name, "model", error) from error
    finally:
        model.train()
    if not torch.allclose(alone, together, atol=_TOLERANCE * float(alone.abs().max()), rtol=0):
        raise UserError(
            f"model.name: {name}, a {type(model).__name__}, guesses otherwise among longer texts; take another"
        )
