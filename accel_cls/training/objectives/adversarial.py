"""Adversarial training: the loss of each text also where its embeddings are moved to make it worse."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from accel_cls.batching.batches import Batch
from accel_cls.models.packing import Packing
from accel_cls.models.windows import Windows
from accel_cls.training.objective import Objective, at_least_float32

# A step of several, as a share of the whole way times their number: enough to get anywhere in the ball, and back from
# where the first steps have led (Madry et al. 2018).
_STRIDE = 2.5


@dataclass(frozen=True)
class Adversarial:
    """Another objective's loss as it is, and again with the embedded tokens of each text moved.

    In one step along the gradient (FGM, Miyato et al. 2017), or in several, each from where the last has led and back
    into the ball of that size (PGD, Madry et al. 2018). Norms are those of a text, over all its tokens: what is moved
    depends on no cut. Weights are never touched: the embedding's output is, by a hook.
    """

    inner: Objective
    embedding: torch.nn.Module  # whose output is [1, T, hidden] or [R, W, hidden], as token ids have it
    size: float
    steps: int

    def weight(self, examples: np.ndarray) -> float:
        """As without it; the loss is a sum of two."""
        return self.inner.weight(examples)

    def losses(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """See `Objective`."""
        texts, moves = _Texts(batch), list[torch.Tensor]()
        with _moved(self.embedding, moves) as embedded:
            clean = losses = self.inner.losses(model, batch)
            for step in range(self.steps):
                # The clean pass goes backward once more, with the update's loss.
                gradients = torch.autograd.grad((losses * batch.mask).sum(), embedded, retain_graph=step == 0)
                moves[:] = self._next(texts, moves, gradients)
                embedded.clear()
                losses = self.inner.losses(model, batch)
        return clean + losses

    def _next(
        self, texts: _Texts, moves: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Where to, for each call of the embedding, from where the last step has led: from nowhere at first."""
        stride = self.size * min(1, _STRIDE / self.steps)
        steps = [stride * texts.direction(gradient) for gradient in gradients]
        return [texts.within(self.size, moves[at] + step if moves else step) for at, step in enumerate(steps)]


@contextlib.contextmanager
def _moved(embedding: torch.nn.Module, moves: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """In this block what an embedding puts out is moved: in its n-th call by the n-th of the moves, if there are any.

    Gives what it has put out, each call's after the other, as tensors with a gradient; to be cleared between passes.
    """
    embedded: list[torch.Tensor] = []

    def move(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        if moves:
            output = output + moves[len(embedded)].to(output.dtype)
        embedded.append(output if output.requires_grad else output.detach().requires_grad_())
        return embedded[-1]

    hook = embedding.register_forward_hook(move)
    try:
        yield embedded
    finally:
        hook.remove()


class _Texts:
    """Which tokens of a micro-batch are whose, for vectors of each token, [1, T, n] packed or [R, W, n] padded."""

    def __init__(self, batch: Batch):
        self._packing: Packing | None = batch.inputs.get("packing")
        self._mask: torch.Tensor | None = batch.inputs.get("attention_mask")
        self._windows: Windows | None = batch.inputs.get("windows")

    def direction(self, vectors: torch.Tensor) -> torch.Tensor:
        """Of norm 1 for each text; 0 where there is none: of a loss of 0, or of one that is not finite."""
        vectors = at_least_float32(vectors)
        norms = self._norms(vectors)
        return torch.where(norms > 0, vectors / norms, 0)

    def within(self, size: float, vectors: torch.Tensor) -> torch.Tensor:
        """Of that norm at most for each text."""
        return vectors * (size / self._norms(vectors).clamp_min(size))

    def _norms(self, vectors: torch.Tensor) -> torch.Tensor:
        """The norm of each token's text, over all its tokens, [1, T, 1] or [R, W, 1]; 0 at fillers and padding."""
        squares = vectors.square().sum(2)
        if self._packing is None:
            real = torch.ones_like(squares) if self._mask is None else self._mask
            return (self._of_texts((squares * real).sum(1)).sqrt().unsqueeze(1) * real).unsqueeze(2)
        lengths, count = self._packing.lengths, self._packing.real
        rows = torch.segment_reduce(squares[0, :count], "sum", lengths=lengths, unsafe=True)
        norms = self._of_texts(rows).sqrt().repeat_interleave(lengths, output_size=count)
        return torch.nn.functional.pad(norms, (0, self._packing.tokens - count)).view(1, -1, 1)

    def _of_texts(self, rows: torch.Tensor) -> torch.Tensor:
        """Of a number for each row, [R], the sum over those of its text: a long one is read in several windows."""
        windows = self._windows
        if windows is None:
            return rows
        sums = torch.segment_reduce(rows[windows.order], "sum", lengths=windows.lengths, unsafe=True)
        spread = sums.repeat_interleave(windows.lengths, output_size=windows.real)
        return torch.zeros_like(rows).index_copy(0, windows.order, spread)
