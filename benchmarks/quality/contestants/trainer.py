"""transformers' Trainer at its defaults: 5e-5 falling to 0, 3 epochs, batches of 8 padded to their longest.

But for one: transformers loads weights in the dtype of their file, and the Trainer trains them in it. In fp16, which
multilingual-e5-small is kept in, the loss is nan after the first update, and on a CPU an update takes 5 s instead of a
half: weights are loaded in fp32 here.
"""

from __future__ import annotations

import tempfile

import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.recipe import Recipe
from benchmarks.quality.request import Answers, Request, serve, texts_of


def answer(request: Request, recipe: Recipe, corpus: Corpus) -> Answers:
    """Of the last weights; no rows choose among them."""
    set_seed(request.seed)  # the head's first weights, too
    tokenizer = AutoTokenizer.from_pretrained(request.encoder)
    labels, dtype = len(corpus.classes), torch.float32
    model = AutoModelForSequenceClassification.from_pretrained(request.encoder, num_labels=labels, dtype=dtype)

    def encoded(examples: Examples) -> Dataset:
        inputs = tokenizer(*texts_of(examples), truncation=True, max_length=recipe.data.max_length)
        return Dataset.from_dict({**inputs, "labels": examples.labels})

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                save_strategy="no",  # nothing of what it saves is read
                report_to="none",
                disable_tqdm=True,
                seed=request.seed,
                use_cpu=request.device == "cpu",
            ),
            train_dataset=encoded(corpus.train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        trainer.train()
        return {"trainer": trainer.predict(encoded(corpus.validation)).predictions.argmax(1)}


if __name__ == "__main__":
    serve(answer)
