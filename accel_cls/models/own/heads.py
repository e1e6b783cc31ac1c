"""What makes one vector of a text's token states: pooling, and the networks of the literature that read the tokens.

Each takes the states [*tokens, hidden], which of them count, bool [*tokens], and which belong to which text, and gives
[texts, size]. The networks lay each text into a row of its own (`Rows`), whatever lay beside it: so they see no other
text and no padding, and say the same of texts packed and padded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from accel_cls.models.own.configurations import PooledConfig
from accel_cls.models.own.tokens import Grouped, GroupedSums, PaddedTokens, Rows, Sums, Tokens


def make_head(config: PooledConfig, hidden: int) -> TextCNN | BiLSTM | RCNN | DPCNN | Pooling:
    """The head of a configuration, for states of `hidden` numbers; its `size` is how many numbers a text gets."""
    size = config.head_size
    if config.head == "cnn":
        return TextCNN(hidden, size, config.head_widths)
    if config.head == "bilstm":
        return BiLSTM(hidden, size, config.pooling)
    if config.head == "rcnn":
        return RCNN(hidden, size)
    if config.head == "dpcnn":
        return DPCNN(hidden, size, config.head_blocks)
    return Pooling(config.pooling, hidden)


class LayerMix(torch.nn.Module):
    """A mean of several layers' states, weights and a factor learned (ELMo, Peters et al. 2018).

    Args:
        layers: how many.
    """

    def __init__(self, layers: int):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(layers))  # before the softmax: all alike at first
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, states: list[torch.Tensor]) -> torch.Tensor:
        """[*tokens, hidden] of as many such. Reckons in float32 at least."""
        dtype = torch.promote_types(states[0].dtype, torch.float32)
        shares = self.scale.to(dtype) * self.weights.to(dtype).softmax(0)
        mixed = sum(share * state.to(dtype) for share, state in zip(shares, states, strict=True))
        assert isinstance(mixed, torch.Tensor)
        return mixed.to(states[0].dtype)


class Pooling(torch.nn.Module):
    """One vector a text, [texts, hidden], of its tokens' hidden states. Reckons in float32 at least."""

    def __init__(self, how: str, hidden: int):
        super().__init__()
        self.how, self.size = how, hidden
        # Attention of one learned query (Yang et al. 2016, without their extra layer).
        self.query = torch.nn.Linear(hidden, 1, bias=False) if how == "attention" else None

    def forward(self, hidden: torch.Tensor, chosen: torch.Tensor, tokens: Sums) -> torch.Tensor:
        """Of no chosen token at all: zeros.

        Args:
            hidden: [*tokens, hidden].
            chosen: bool [*tokens]: which count.
            tokens: which belong to which text.
        """
        if self.how == "first":
            return tokens.first(hidden)
        values, chosen = hidden.to(torch.promote_types(hidden.dtype, torch.float32)), chosen.unsqueeze(-1)
        if self.how == "max":
            found = tokens.max(values.masked_fill(~chosen, -torch.inf))
            return found.masked_fill(found.isinf(), 0).to(hidden.dtype)
        if self.query is None:
            weights = chosen.to(values.dtype)
        else:
            scores = self.query(hidden).to(values.dtype).masked_fill(~chosen, -torch.inf)
            highest = tokens.max(scores.detach()).clamp_min(torch.finfo(values.dtype).min)
            weights = (scores - tokens.spread(highest)).exp()
        total = tokens.sum(weights).clamp_min(1)  # as it is wherever a token is chosen
        return (tokens.sum(values * weights) / total).to(hidden.dtype)

    def of_groups(self, vectors: torch.Tensor, groups: Grouped) -> torch.Tensor:
        """One vector a group, [groups, hidden], of vectors [n, hidden] of which those of a group are adjacent."""
        chosen = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
        return self(vectors, chosen, GroupedSums(groups))


class TextCNN(torch.nn.Module):
    """Convolutions of several widths, and the greatest of each filter over the text (Kim 2014).

    Windows lie wholly in the text; one that is shorter than a filter has one window, filled up with zeros.

    Args:
        hidden: numbers of a token's state.
        filters: of each width.
        widths: tokens that a filter sees.
    """

    def __init__(self, hidden: int, filters: int, widths: Sequence[int]):
        super().__init__()
        self.convolutions = torch.nn.ModuleList(torch.nn.Conv1d(hidden, filters, width) for width in widths)
        self.size = filters * len(widths)

    def forward(self, hidden: torch.Tensor, chosen: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        """[texts, size]; arguments as `Pooling` has them."""
        rows = Rows.of(hidden, chosen, tokens)
        states, lengths = rows.states.transpose(1, 2), rows.lengths
        return torch.cat([_strongest(each, states, lengths) for each in self.convolutions], 1)


def _strongest(convolution: torch.nn.Module, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The greatest of each filter, [texts, filters], of states [texts, hidden, width] of so many tokens."""
    assert isinstance(convolution, torch.nn.Conv1d)
    beyond = convolution.kernel_size[0] - 1
    found = convolution(functional.pad(states, (0, beyond)))
    windows = _mask((lengths - beyond).clamp_min(1), found.shape[2])
    return found.masked_fill(~windows, -torch.inf).amax(2).relu()


class _BothWays(torch.nn.Module):
    """An LSTM from the left and one from the right, each of so many units."""

    def __init__(self, hidden: int, units: int):
        super().__init__()
        self.from_left = torch.nn.LSTM(hidden, units, batch_first=True)
        self.from_right = torch.nn.LSTM(hidden, units, batch_first=True)

    def forward(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """What each has read at each token, itself included: twice [texts, width, units].

        Padding comes after a text in either direction, so that it changes nothing; packed sequences, which torch has
        for this, want the lengths from the device, and none of 0.
        """
        return self.from_left(rows.states)[0], rows.flip(self.from_right(rows.flip(rows.states))[0])


class BiLSTM(torch.nn.Module):
    """An LSTM from either side, its states pooled; with `last`, those that have read the whole text.

    Args:
        hidden: numbers of a token's state.
        units: of either LSTM.
        pooling: max, mean, attention or last.
    """

    def __init__(self, hidden: int, units: int, pooling: str):
        super().__init__()
        self.lstm = _BothWays(hidden, units)
        self.size = 2 * units
        self.pooling = None if pooling == "last" else Pooling(pooling, self.size)

    def forward(self, hidden: torch.Tensor, chosen: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        """[texts, size]; arguments as `Pooling` has them."""
        rows = Rows.of(hidden, chosen, tokens)
        onward, backward = self.lstm(rows)
        if self.pooling is None:
            return torch.cat([rows.last(onward), backward[:, 0]], 1)
        return self.pooling(torch.cat([onward, backward], 2), rows.mask, PaddedTokens(rows.mask))


class RCNN(torch.nn.Module):
    """Each token with what is read before it and after it, and the greatest over the text (Lai et al. 2015).

    LSTMs read, where theirs are simple recurrent layers.

    Args:
        hidden: numbers of a token's state.
        units: of either LSTM, and numbers of a text's vector.
    """

    def __init__(self, hidden: int, units: int):
        super().__init__()
        self.lstm = _BothWays(hidden, units)
        self.dense = torch.nn.Linear(2 * units + hidden, units)
        self.pooling = Pooling("max", units)
        self.size = units

    def forward(self, hidden: torch.Tensor, chosen: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        """[texts, size]; arguments as `Pooling` has them."""
        rows = Rows.of(hidden, chosen, tokens)
        onward, backward = self.lstm(rows)
        before = functional.pad(onward[:, :-1], (0, 0, 1, 0))
        after = functional.pad(backward.masked_fill(~rows.mask.unsqueeze(-1), 0)[:, 1:], (0, 0, 0, 1))
        states = rows.states.to(onward.dtype)
        meanings = self.dense(torch.cat([before, states, after], 2)).tanh()
        return self.pooling(meanings, rows.mask, PaddedTokens(rows.mask))


class DPCNN(torch.nn.Module):
    """A pyramid of convolutions over ever shorter texts (Johnson and Zhang 2017).

    A first convolution, then blocks of two with a shortcut around them; before each block but the first, of three
    neighbours the greatest is taken, every second time. So a text of L tokens has ⌈L / 2⌉ after that, one at least,
    however long others are; at the end the greatest of what is left.

    Args:
        hidden: numbers of a token's state.
        filters: of each convolution.
        blocks: how many.
    """

    def __init__(self, hidden: int, filters: int, blocks: int):
        super().__init__()
        self.region = torch.nn.Conv1d(hidden, filters, 3, padding=1)
        self.blocks = torch.nn.ModuleList(_Block(filters) for _ in range(blocks))
        self.size = filters

    def forward(self, hidden: torch.Tensor, chosen: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        """[texts, size]; arguments as `Pooling` has them."""
        rows = Rows.of(hidden, chosen, tokens)
        lengths = rows.lengths
        states = _kept(self.region(rows.states.transpose(1, 2)), lengths)
        for level, block in enumerate(self.blocks):
            if level:
                states, lengths = _halve(states, lengths)
            states = block(states, lengths)
        return states.masked_fill(~_mask(lengths, states.shape[2]), -torch.inf).amax(2)


class _Block(torch.nn.Module):
    def __init__(self, filters: int):
        super().__init__()
        self.first = torch.nn.Conv1d(filters, filters, 3, padding=1)
        self.second = torch.nn.Conv1d(filters, filters, 3, padding=1)

    def forward(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """[texts, filters, width], as the states are."""
        found = _kept(self.first(states.relu()), lengths)
        return states + _kept(self.second(found.relu()), lengths)


def _halve(states: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The greatest of three neighbours at every second place, and how many places each text has now.

    By slices, whose gradients are added in one order on any device.
    """
    half = (states.shape[2] + 1) // 2
    beyond = functional.pad(states.masked_fill(~_mask(lengths, states.shape[2]), -torch.inf), (0, 2), value=-torch.inf)
    a, b, c = (beyond[:, :, start : start + 2 * half - 1 : 2] for start in range(3))
    lengths = (lengths + 1) // 2
    return _kept(torch.maximum(torch.maximum(a, b), c), lengths), lengths


def _kept(states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """States [texts, n, width] with zeros after each text's end, where the next convolution looks."""
    return states.masked_fill(~_mask(lengths, states.shape[2]), 0)


def _mask(lengths: torch.Tensor, width: int) -> torch.Tensor:
    """Bool [texts, 1, width]: whether a place is within its text."""
    return (torch.arange(width, device=lengths.device) < lengths[:, None]).unsqueeze(1)
