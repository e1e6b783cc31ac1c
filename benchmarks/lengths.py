"""How many tokens some texts have: `python -m benchmarks.lengths MODEL_FOLDER TEXTS.csv RESULT.json`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from transformers import AutoTokenizer

from benchmarks.contestants.request import Request
from benchmarks.floor import Work


def main() -> None:
    """Write the work of one pass over all texts."""
    model, texts, result = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows, _ = Request(model, texts, result).read_texts()
    lengths = [len(row) for row in tokenizer(rows, truncation=True, max_length=512)["input_ids"]]
    work = Work(len(lengths), sum(lengths), sum(length * length for length in lengths))
    Path(result).write_text(json.dumps(asdict(work)), encoding="utf-8")


if __name__ == "__main__":
    main()
