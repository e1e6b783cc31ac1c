"""How many labels that were made wrong on purpose are among the first suspects: what `accel-cls suspects` is good for.

    python -m benchmarks.suspects                     # n-grams, on reviews, news titles and questions; minutes
    python -m benchmarks.suspects --encoder FOLDER    # also a pretrained encoder as it is
    python -m benchmarks.suspects --folds             # also the bag of n-grams, trained on 5 folds; longer

ACCEL_CLS_REAL_DATA names the folder with the real data; docs/evaluation.md has the figures. A tenth of the labels,
drawn by a seed, becomes another class, drawn likewise. The data have wrong labels of their own, which count as misses
here: so 100 of 100 can't be reached on the reviews.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.data.folds import fold_numbers
from accel_cls.data.loading import load_corpus
from accel_cls.data.texts import Texts
from accel_cls.evaluation.baselines import fit_vectorizer, together
from accel_cls.evaluation.suspicion.confident import doubts_of
from accel_cls.evaluation.suspicion.out_of_fold import bayes_answers
from accel_cls.recipe import Recipe, with_values
from accel_cls.recipe.repeats import first_run_of
from accel_cls.runs.answers import read_answers
from accel_cls.runs.folder import RunFolder
from accel_cls.tasks import task_of
from accel_cls.train import main as train
from accel_cls.training.frozen import frozen_answers
from benchmarks.data import real_folder

SHARE, FOLDS = 0.1, 10
SETS: dict[str, dict[str, Any]] = {
    "reviews": {"train": "food_reviews_10k.csv", "text": "review"},
    "news": {"train": "thucnews_dev.txt", "columns": ["text", "label"]},
    "banking77": {"train": "banking77_train.csv", "label": "category"},
}
Answer = Callable[[Recipe, Corpus, Examples, np.ndarray], np.ndarray]  # gives logits


def flipped(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Class ids of which a tenth are other ones."""
    draw = np.random.default_rng(seed)
    chosen = draw.choice(len(labels), int(SHARE * len(labels)), replace=False)
    made = labels.copy()
    made[chosen] = (labels[chosen] + draw.integers(1, classes, len(chosen))) % classes
    return made


def _bayes(recipe: Recipe, corpus: Corpus, examples: Examples, folds: np.ndarray) -> np.ndarray:
    return bayes_answers(examples, task_of(recipe), len(corpus.classes), folds).logits


def _tfidf(recipe: Recipe, corpus: Corpus, examples: Examples, folds: np.ndarray) -> np.ndarray:
    features, task = together(fit_vectorizer(examples)[1]).tocsr(), task_of(recipe)
    logits = np.empty((len(examples), len(corpus.classes)), np.float32)
    for fold in range(FOLDS):
        is_asked = folds == fold
        learned = task.fit_linear(features[~is_asked], examples.labels[~is_asked], len(corpus.classes), False)
        logits[is_asked] = learned(features[is_asked])
    return logits


def _frozen(recipe: Recipe, corpus: Corpus, examples: Examples, folds: np.ndarray) -> np.ndarray:
    return frozen_answers(recipe, corpus, examples, folds, Accelerator(), [])


def _trained(recipe: Recipe, corpus: Corpus, examples: Examples, _: np.ndarray) -> np.ndarray:
    """The model that `accel-cls new` writes for Chinese, trained on 5 folds as a user does it."""
    with tempfile.TemporaryDirectory() as folder:
        names, texts = corpus.classes.names, examples.texts["text"][:]
        path = Path(folder) / "flipped.parquet"
        _write(path, texts, [names[i] for i in examples.labels])
        lines = [
            "name: folds",
            f"output: {folder}/run",
            f"data: {{train: {path}, labels: {[*names]}, max_length: 256}}",
            "model: {scratch: {architecture: ngrams, longest_ngram: 3, hidden: 64, dropout: 0.4}}",
            "train: {epochs: 4, batch_size: 128, micro_batch_tokens: 16384, learning_rate: 0.004, adam_epsilon: 1e-5,",
            "  label_smoothing: 0.05}",
            "repeat: {folds: 5}",
        ]
        (Path(folder) / "recipe.yaml").write_text("\n".join(lines), encoding="utf-8")
        assert train([f"{folder}/recipe.yaml"]) == 0
        return read_answers(RunFolder(f"{folder}/run"), "validation").logits


def _write(path: Path, texts: Sequence[str], labels: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [*texts], "label": [*labels]}), path)


def figures(confidence: np.ndarray, is_wrong: np.ndarray) -> list[float]:
    """Shares of wrong labels among the first 100, 500, and as many as there are."""
    order = is_wrong[np.argsort(confidence, kind="stable")]
    return [float(order[:count].mean()) for count in (100, 500, int(is_wrong.sum()))]


def measure(name: str, answer: Answer, seeds: int, encoder: str | None) -> dict[str, np.ndarray]:
    """By rank, float64 [seeds, 4]: the figures of each seed, and which share of the labels is said to be wrong."""
    file = str(real_folder() / "data" / str(SETS[name]["train"]))
    data: dict[str, Any] = SETS[name] | {"train": file, "validation": 0.1}
    recipe = Recipe.model_validate({"name": name, "output": "unused", "data": data, "model": {"name": encoder}})
    corpus = load_corpus(first_run_of(recipe), task_of(recipe))
    found = defaultdict(list)
    for seed in range(seeds):
        parts = corpus.train, corpus.validation
        true = np.concatenate([part.labels for part in parts])
        made = flipped(true, len(corpus.classes), seed)
        rows = tuple(row for part in parts for row in part.rows)
        examples = Examples(Texts.joined([part.texts for part in parts]), made, rows)
        task, own = task_of(recipe), with_values(recipe, {"seed": seed})
        logits = answer(own, corpus, examples, fold_numbers(examples, task, FOLDS, seed))
        probabilities = task.decode(logits).probabilities
        doubts = doubts_of(made, probabilities)
        others = probabilities[np.arange(len(made)), doubts.suggestion]
        found["confidence"].append([*figures(doubts.confidence, made != true), doubts.wrong / len(made)])
        found["margin"].append([*figures(doubts.confidence - others, made != true), doubts.wrong / len(made)])
    return {rank: np.array(values) for rank, values in found.items()}


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--encoder", help="a pretrained encoder's folder")
    parser.add_argument("--folds", action="store_true", help="also train the bag of n-grams on folds, with one seed")
    options = parser.parse_args()
    contestants: dict[str, tuple[Answer, int]] = {
        "naive Bayes on n-grams": (_bayes, options.seeds),
        "logistic regression on TF-IDF": (_tfidf, options.seeds),
    }
    if options.encoder:
        contestants = {f"{os.path.basename(options.encoder)}, frozen": (_frozen, options.seeds)}
    if options.folds:
        contestants = {"bag of n-grams, 5 folds": (_trained, 1)}
    print("| data | judged by | ranked by | of the first 100 | of 500 | of as many as are wrong | said to be wrong |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.sets:
        for title, (answer, seeds) in contestants.items():
            for rank, values in measure(name, answer, seeds, options.encoder).items():
                mean = values.mean(0)
                least = f" (least {values[:, 0].min():.0%})" if seeds > 1 else ""
                cells = [f"{mean[0]:.1%}{least}", f"{mean[1]:.1%}", f"{mean[2]:.1%}", f"{mean[3]:.1%}"]
                print(f"| {name} | {title} | {rank} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
