"""Trainer as fine-tuning tutorials set it up: fp32, every text padded to the most tokens, batches in random order."""

from __future__ import annotations

import tempfile

from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainingArguments,
    default_data_collator,
)

from benchmarks.contestants.request import from_command_line
from benchmarks.contestants.stopwatch import train_on_the_clock


def main() -> None:
    """Train as the request says."""
    request = from_command_line()
    texts, labels = request.read_texts()
    tokenizer = AutoTokenizer.from_pretrained(request.model)
    model = AutoModelForSequenceClassification.from_pretrained(request.model)

    def tokenize(rows: dict) -> dict:
        return tokenizer(rows["text"], truncation=True, padding="max_length", max_length=request.max_length)

    # What is not trained on need not be tokenized: twice the batches that are asked for.
    needed = 2 * request.updates * request.batch
    data = Dataset.from_dict({"text": texts[:needed], "label": labels[:needed]})
    data = data.map(tokenize, batched=True).remove_columns("text")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            learning_rate=2e-5,
            per_device_train_batch_size=request.batch,
            weight_decay=0.01,
            max_steps=request.updates,
            save_strategy="no",  # evaluation and saving are not part of the comparison
            report_to="none",
            disable_tqdm=True,
            seed=request.seed,
            use_cpu=request.device == "cpu",
        )
        train_on_the_clock(request, model, arguments, data, default_data_collator)


if __name__ == "__main__":
    main()
