"""The most frequent class, and TF-IDF with logistic regression, as accel_cls shows them beside each run."""

from __future__ import annotations

from accel_cls.data.corpus import Corpus
from accel_cls.evaluation.baselines import baselines
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of
from benchmarks.quality.request import Answers, Request, serve


def answer(request: Request, recipe: Recipe, corpus: Corpus) -> Answers:
    """Of all three."""
    names = {"majority": "majority", "TF-IDF": "tfidf", "TF-IDF balanced": "tfidf-balanced"}
    task = task_of(recipe)
    return {names[one.name]: task.decode(one.logits["validation"]).predicted for one in baselines(corpus, task, [])}


if __name__ == "__main__":
    serve(answer)
