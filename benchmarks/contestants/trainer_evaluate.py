"""Trainer.evaluate over texts that are tokenized already, in batches of 32 padded to their longest, fp32."""

from __future__ import annotations

import tempfile
import time

import numpy as np
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from benchmarks.contestants import device
from benchmarks.contestants.request import from_command_line


def main() -> None:
    """Evaluate as the request says, the second of two passes on the clock."""
    request = from_command_line()
    texts, labels = request.read_texts()
    tokenizer = AutoTokenizer.from_pretrained(request.model)
    model = AutoModelForSequenceClassification.from_pretrained(request.model)
    encoded = tokenizer(texts, truncation=True, max_length=request.max_length)
    data = Dataset.from_dict({**encoded, "labels": labels})
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                per_device_eval_batch_size=request.batch,
                report_to="none",
                disable_tqdm=True,
                use_cpu=request.device == "cpu",
            ),
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda p: {"accuracy": float((np.argmax(p.predictions, 1) == p.label_ids).mean())},
        )
        trainer.evaluate(data.select(range(min(len(data), 64))))
        began = time.perf_counter()
        trainer.evaluate(data)
        seconds = time.perf_counter() - began
    request.answer({"seconds": seconds, "device_peak_bytes": device.peak_bytes()})


if __name__ == "__main__":
    main()
