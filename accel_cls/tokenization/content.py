"""What may stand in a text, and how a tokenizer is asked for its tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from accel_cls.data.texts import Texts

# Truncation is a state of the tokenizer: while it is set and used, no other thread may set another. A tokenizer in
# Rust takes all cores for one batch anyway.
tokenizer_lock = threading.Lock()


class TextContent:
    """What may stand in a text: no special token, and not nothing at all.

    A tokenizer that was told to split what looks like a special token still finds it where its vocabulary has it as
    a piece, as SentencePiece's has `</s>`; or where normalization makes it, of `</S>` or of full-width signs.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, texts: Texts):
        ids = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
        self._is_special = np.zeros(1 + max([*tokenizer.get_vocab().values(), *ids]), bool)
        self._is_special[[*ids]] = True
        with tokenizer_lock:
            usual = call(tokenizer, {name: ["a"] for name in texts.column_names}, None)["input_ids"][0]
        self._usual = int(self._is_special[usual].sum())  # those that the tokenizer itself puts around a text
        self._unknown, self._nothing = tokenizer.unk_token_id, tokenizer.pad_token_id

    def mend(
        self,
        ids: list[Sequence[int]],
        types: list[Sequence[int]] | None,
        flat: np.ndarray,
        lengths: np.ndarray,
        masks: Sequence[Callable[[], Sequence[int]]] | None,
    ) -> bool:
        """Put what may stand there in the place of what may not; whether there was anything to change.

        Args:
            ids: of each text.
            types: likewise; None for a model without.
            flat: all ids, one text's after the other's.
            lengths: of each text.
            masks: give which of a text's tokens a Rust tokenizer has put there; None of one in Python, which has no
                such pieces.
        """
        running = np.zeros(len(flat) + 1, np.int32)
        np.cumsum(self._is_special[flat], out=running[1:])
        counts = np.diff(running[np.cumsum(lengths)], prepend=0)
        suspects = np.flatnonzero(counts > self._usual) if masks is not None else ()
        for i in map(int, suspects):
            assert masks is not None
            found = [
                (one if is_added or not self._is_special[one] else self._unknown, kind)
                for one, kind, is_added in zip(ids[i], types[i] if types else ids[i], masks[i](), strict=True)
            ]
            ids[i] = [one for one, _ in found if one is not None]
            if types is not None:
                types[i] = [kind for one, kind in found if one is not None]
        empty = [i for i in (*map(int, np.flatnonzero(lengths == 0)), *map(int, suspects)) if not len(ids[i])]
        for i in empty:  # a tokenizer that adds no tokens of its own
            ids[i] = [self._nothing]
            if types is not None:
                types[i] = [0]
        return len(suspects) + len(empty) > 0


def call(tokenizer: PreTrainedTokenizerBase, columns: Mapping[str, Sequence[str]], max_length: int | None) -> Any:
    """As transformers tokenizes, truncated to `max_length`; None: not at all."""
    return tokenizer(
        columns["text"],
        columns.get("pair"),
        truncation=max_length is not None,
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=takes_types(tokenizer),
    )


def takes_types(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether its model is told of which text of a pair a token is."""
    return "token_type_ids" in tokenizer.model_input_names
