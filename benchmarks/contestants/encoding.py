"""Tokenize many short texts: the bare fast tokenizer, or accel_cls.

python -m benchmarks.contestants.encoding bare|accel_cls MODEL_FOLDER COUNT RESULT.json
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from benchmarks import data
from benchmarks.contestants.ours import encode_all

_MAX_LENGTH = 512
# The bare tokenizer's answers are dropped after so many texts: all at once they would need gigabytes.
_AT_ONCE = 10_000


def encode_bare(tokenizer: Any, texts: Sequence[str]) -> int:
    """What `tokenizers` itself takes on all cores: no ids are kept. Returns how many tokens there are."""
    bare = tokenizer._tokenizer
    bare.enable_truncation(_MAX_LENGTH)
    count = 0
    for start in range(0, len(texts), _AT_ONCE):
        count += sum(len(one) for one in bare.encode_batch_fast(texts[start : start + _AT_ONCE]))
    return count


def main() -> None:
    """Tokenize and write what it took."""
    who, model, count, result = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(model)
    texts = list(data.new_titles(int(count)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    tokens = encode_bare(tokenizer, texts) if who == "bare" else encode_all(tokenizer, texts, _MAX_LENGTH)
    answer = {
        "seconds": time.perf_counter() - began,
        "tokens": tokens,
        "more_bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024,  # above the texts' own
    }
    Path(result).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
