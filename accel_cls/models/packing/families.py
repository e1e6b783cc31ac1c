"""The families of encoders that take packed texts, and what lets a model of theirs do so."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from accel_cls.models.own.configurations import PooledConfig, encoder_config
from accel_cls.models.packing.attention import Kernels, register_attention
from accel_cls.models.packing.gather import FAST, PLAIN, RowKernels, put_first, take_first
from accel_cls.models.packing.row import Packing

# Of the last layer's pass that is under way in this thread: its parts are called without keywords.
_packing: ContextVar[Packing | None] = ContextVar("packing", default=None)


@dataclass(frozen=True)
class _Layer:
    """Names of modules in a layer that see each token by itself, except for the attention."""

    layers: str  # all of them, in the base model
    attention: str  # the one that calls `packed_attention`
    full_output: tuple[str, ...]  # whose output has to have a row for each token
    first_rows_from: str | None  # from whose input on there are the first tokens' rows only, up to the layer's end


_BERT = _Layer("encoder.layer", "attention.self", ("attention.self.query",), "attention.output")
_DISTILBERT = _Layer("transformer.layer", "attention", ("attention.q_lin", "attention.out_lin"), "sa_layer_norm")
_MODERNBERT = _Layer("layers", "attn", ("attn.Wo", "mlp_norm", "mlp"), None)  # Wqkv makes keys and values, too

# Families whose positions are given from outside and whose classifier reads a text's first token (ModernBERT's may
# read the mean), and the part of the base model that puts out the last layer: with a pooler, its encoder; without,
# the base model itself. ALBERT's layers are all the same modules, so its last one does what the others do. Each
# stands in tests/test_packing.py.
_FAMILIES: dict[str, tuple[str, _Layer | None]] = {
    "albert": ("encoder", None),
    "bert": ("encoder", _BERT),
    "camembert": ("", _BERT),
    "data2vec-text": ("", _BERT),
    "distilbert": ("", _DISTILBERT),
    "electra": ("", _BERT),
    "ernie": ("encoder", _BERT),
    "modernbert": ("", _MODERNBERT),
    "roberta": ("", _BERT),
    "xlm-roberta": ("", _BERT),
}


def can_pack(config: Any) -> bool:
    """Whether models of this configuration can take packed texts."""
    config = encoder_config(config)
    has_plain_positions = getattr(config, "position_embedding_type", None) in (None, "absolute")
    # One that attends to what came before only (is_decoder) would be packed as if it saw both sides.
    return config.model_type in _FAMILIES and has_plain_positions and not getattr(config, "is_decoder", False)


def reads_first_token(config: Any) -> bool:
    """Whether transformers' classifier of this family is known to read a text's first token."""
    return config.model_type in _FAMILIES and not getattr(config, "is_decoder", False)


def make_packable(model: PreTrainedModel, kernels: Kernels = "fast") -> int:
    """Let a classifier take packed texts: `model(input_ids, position_ids=…, packing=…)`. Padded rows work as ever.

    Several threads may share the model.

    Args:
        model: of a family that `can_pack`.
        kernels: what attention and the gathering of rows are done by.

    Returns:
        The position id of a text's first token: 0, or past the padding's own in RoBERTa's line.
    """
    first_position = pack_attention(model, kernels)
    pools_itself = isinstance(model.config, PooledConfig)
    pooling = model.config.pooling if pools_itself else getattr(model.config, "classifier_pooling", "cls")
    rows = {"fast": FAST, "plain": PLAIN}[kernels]
    encoder, names = _FAMILIES[encoder_config(model.config).model_type]
    if names is not None and pooling == "cls":
        last = model.base_model.get_submodule(names.layers)[-1]
        _compute_first_tokens_only(last, names, rows)

    def pool_texts(_: Any, __: Any, options: dict[str, Any], output: Any) -> Any:
        packing = options.get("packing")
        if packing is not None:
            hidden = output.last_hidden_state.squeeze(0)
            is_pooled = len(hidden) == len(packing.first)  # else there is at least a filler more than texts
            output.last_hidden_state = (hidden if is_pooled else _pool(hidden, packing, pooling, rows)).unsqueeze(1)
        return output

    if not pools_itself:
        model.base_model.get_submodule(encoder).register_forward_hook(pool_texts, with_kwargs=True)
    return first_position


def layers_with_attention(model: PreTrainedModel) -> list[tuple[torch.nn.Module, torch.nn.Module]]:
    """Each layer of a model that `can_pack`, and the part of it that attends; none where they are all one layer."""
    _, names = _FAMILIES[encoder_config(model.config).model_type]
    if names is None:
        return []
    encoder = model.base_model
    return [(layer, layer.get_submodule(names.attention)) for layer in encoder.get_submodule(names.layers)]


def pack_attention(model: PreTrainedModel, kernels: Kernels) -> int:
    """Let the encoder of a model take packed texts, whose output has a vector for each token; else as above."""
    model.base_model.set_attn_implementation(register_attention(kernels))
    positions = [m for name, m in model.named_modules() if name.endswith("position_embeddings")]
    padding = positions[0].padding_idx if positions else None
    return 0 if padding is None else padding + 1


def packing_again() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts for a pass of a layer, and for a second one later: in that, too, its packing is what it is now."""
    return nullcontext(), _Within(_packing.get())


class _Within:
    """The last layer's packing is this one. May be entered again: a graph may go backward more than once."""

    def __init__(self, packing: Packing | None):
        self._packing = packing
        self._tokens: list[Token[Packing | None]] = []

    def __enter__(self) -> None:
        self._tokens.append(_packing.set(self._packing))

    def __exit__(self, *_: object) -> None:
        _packing.reset(self._tokens.pop())


def _compute_first_tokens_only(layer: torch.nn.Module, names: _Layer, rows: RowKernels) -> None:
    """Let a layer compute keys and values of all tokens, and all else for each text's first token only."""

    def enter(_: Any, __: Any, options: dict[str, Any]) -> None:
        _packing.set(options.get("packing"))

    def leave(*_: Any) -> None:
        _packing.set(None)

    def gather_first(_: Any, values: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        packing = _packing.get()
        if packing is None:
            return values
        return tuple(take_first(rows, x.squeeze(0), packing).unsqueeze(0) for x in values)

    def scatter_first(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        packing = _packing.get()
        return output if packing is None else put_first(rows, output.squeeze(0), packing)[None]

    layer.register_forward_pre_hook(enter, with_kwargs=True)
    layer.register_forward_hook(leave, always_call=True)  # after a failed pass, too
    layer.get_submodule(names.attention).first_only = True  # type: ignore[assignment]
    for name in names.full_output:
        layer.get_submodule(name).register_forward_pre_hook(gather_first)
        layer.get_submodule(name).register_forward_hook(scatter_first)
    if names.first_rows_from is not None:
        layer.get_submodule(names.first_rows_from).register_forward_pre_hook(gather_first)


def _pool(hidden: torch.Tensor, packing: Packing, pooling: str, rows: RowKernels) -> torch.Tensor:
    """One vector a text, [texts, hidden], of [T, hidden]: its first token's, or the mean of its tokens'."""
    if pooling == "cls":
        return take_first(rows, hidden, packing)
    # Not index_add, which on a GPU adds in any order. In float32 at least: it adds up in the type of its input.
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    texts = hidden[: packing.real].to(dtype)
    return torch.segment_reduce(texts, "mean", lengths=packing.lengths, unsafe=True).to(hidden.dtype)
