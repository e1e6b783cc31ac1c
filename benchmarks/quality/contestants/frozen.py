"""A frozen encoder: its last hidden state, averaged over the tokens, standardised, with logistic regression."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel, AutoTokenizer

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.recipe import Recipe
from benchmarks.quality.request import Answers, Request, serve, texts_of

_BATCH = 64  # texts


def answer(request: Request, recipe: Recipe, corpus: Corpus) -> Answers:
    """Two texts of a pair go into the encoder together."""
    tokenizer = AutoTokenizer.from_pretrained(request.encoder)
    model = AutoModel.from_pretrained(request.encoder, dtype=torch.float32).eval().to(request.device)

    def features(examples: Examples) -> np.ndarray:
        encoded = tokenizer(*texts_of(examples), truncation=True, max_length=recipe.data.max_length)
        order = np.argsort([len(ids) for ids in encoded["input_ids"]], kind="stable")  # little padding in a batch
        found = np.empty((len(order), model.config.hidden_size), np.float32)
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            rows = {name: [column[i] for i in some] for name, column in encoded.items()}
            inputs = tokenizer.pad(rows, return_tensors="pt").to(request.device)
            states = model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
            found[some] = ((states * mask).sum(1) / mask.sum(1)).cpu().numpy()
        return found

    with torch.inference_mode():
        train, judged = features(corpus.train), features(corpus.validation)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return {"frozen": classifier.fit(train, corpus.train.labels).predict(judged)}


if __name__ == "__main__":
    serve(answer)
