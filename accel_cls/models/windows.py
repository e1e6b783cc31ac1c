"""Texts that are read in several windows: the vectors of a text's windows become the one that the last layer reads.

A window goes through the model as if it were a text. Just before the last linear layer, a hook pools what that would
read of each window into one vector a text; so all that comes after (logits, losses, answers, features) is a text's,
and nobody else has to know of windows. Any class of transformers will do whose head ends with such a layer. Only a
mean whose weights are learned needs some of its own, which our own class has (`PooledConfig.window_pooling`).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from accel_cls.models.features import last_layer, require_vectors_of_texts
from accel_cls.models.own.heads import Pooling
from accel_cls.models.packing import move

_KEY = "data.windows"


@dataclass(frozen=True)
class Windows:
    """Which of the rows that go through the model at once are windows of which text."""

    order: torch.Tensor  # int64 [rows]: the rows, one text's after the other's
    first: torch.Tensor  # int64 [texts]: where in that order each text begins
    lengths: torch.Tensor  # int64 [texts]: how many windows it has
    real: int  # rows

    @classmethod
    def of(cls, order: np.ndarray, counts: np.ndarray, device: torch.device) -> Windows:
        """Of the rows in order and the number of each text's, both int64, on a device."""
        first = np.cumsum(counts) - counts
        return cls(move(order, device), move(first, device), move(counts, device), len(order))


# Of the pass that is under way in this thread: the last layer is called without keywords.
_windows: ContextVar[Windows | None] = ContextVar("windows", default=None)


def make_windowed(model: PreTrainedModel, how: str) -> None:
    """Let a classifier take windows of texts: `model(..., windows=Windows)` gives logits [texts, classes].

    Without `windows` each row is a text. Several threads may share the model.

    Args:
        model: the classifier.
        how: a text's vector comes of its windows': data.windows.pooling.

    Raises:
        UserError: where the head does not end with a linear layer; in a pass, where that layer reads tokens.
    """
    layer = last_layer(model, _KEY)
    own = getattr(model, "window_pooling", None)
    assert (own is None) == (how != "attention"), "its configuration says which"
    pooling = Pooling(how, layer.in_features) if own is None else own

    def enter(_: Any, given: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        _windows.set(options.pop("windows", None))
        return given, options

    def leave(*_: Any) -> None:
        _windows.set(None)

    def pool(_: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        (vectors,) = given
        windows = _windows.get()
        require_vectors_of_texts(model, vectors, _KEY)
        if windows is None:
            if own is None:
                return given
            every = np.arange(len(vectors))  # each a text, so that the weights have a part in each pass
            windows = Windows.of(every, np.ones_like(every), vectors.device)
        return (pooling.of_groups(vectors.index_select(0, windows.order), windows),)

    model.register_forward_pre_hook(enter, with_kwargs=True)
    model.register_forward_hook(leave, always_call=True)
    layer.register_forward_pre_hook(pool)
