"""Trainer with the settings that are fastest here: each was tried, and docs/speed.md has what it gave."""

from __future__ import annotations

import tempfile

from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    TrainingArguments,
)

from benchmarks.contestants.request import from_command_line
from benchmarks.contestants.stopwatch import train_on_the_clock

# 8 for the tensor cores of GPUs; on a CPU with AMX it is 5% faster than widths as they come.
_WIDTH_STEP = 8


def main() -> None:
    """Train as the request says."""
    request = from_command_line()
    texts, labels = request.read_texts()
    tokenizer = AutoTokenizer.from_pretrained(request.model)
    model = AutoModelForSequenceClassification.from_pretrained(request.model, attn_implementation="sdpa")
    # Else the first pass sets it, and the program that torch_compile has made by then is for a model without it.
    model.config.problem_type = "single_label_classification"
    encoded = tokenizer(texts, truncation=True, max_length=request.max_length)
    lengths = list(map(len, encoded["input_ids"]))
    data = Dataset.from_dict({**encoded, "labels": labels, "length": lengths})
    collator = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=_WIDTH_STEP)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            learning_rate=2e-5,
            weight_decay=0.01,
            per_device_train_batch_size=request.batch // request.parts,
            gradient_accumulation_steps=request.parts,
            max_steps=request.updates,
            bf16=request.precision == "bf16",
            optim="adamw_torch_fused",
            train_sampling_strategy="group_by_length",
            length_column_name="length",
            dataloader_num_workers=0,  # a worker process takes a core from the training
            dataloader_pin_memory=request.device == "cuda",
            # On a CPU what inductor makes is slower than what torch has; on a GPU both are measured. Trainer leaves
            # `dynamic` at torch's default: the first width gets a program, and the second one makes torch compile
            # another, for all or many widths. One for each would be up to 58 here, and torch makes 8 at most.
            torch_compile=request.compiled,
            # Looking at each loss makes Python wait for the device, and the device for Python's next batch.
            logging_nan_inf_filter=request.device == "cpu",
            save_strategy="no",  # evaluation and saving are not part of the comparison
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=request.seed,
            use_cpu=request.device == "cpu",
        )
        train_on_the_clock(request, model, arguments, data, collator)


if __name__ == "__main__":
    main()
