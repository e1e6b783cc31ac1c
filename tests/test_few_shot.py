"""Few labels: pairs of texts first, then a head that is fitted to the encoder as it became."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import command, train, train_by, write_recipe
from run_results import metrics, numbers, read_csv, weights_of
from same_training import assert_goes_on_exactly
from tiny import write_model, write_texts

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.batching.pair_batches import PairBatches
from accel_cls.batching.pairs import Pairs, draw_pairs
from accel_cls.batching.plan import Plan
from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.models.capabilities.padding import Padding
from accel_cls.recipe import load_recipe
from accel_cls.tasks import SingleLabel
from accel_cls.tokenization.encoded import Encoded
from accel_cls.training.objectives.cosine import CosineOfPairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT encoder in `encoder`, with texts and a recipe that learns from eight of each class."""
    write_model(tmp_path / "encoder")
    write_texts(tmp_path / "texts.csv", 240, range(1, 9))
    write_recipe(
        tmp_path,
        data="{train: texts.csv, text: text, label: label, max_length: 32}",
        model="{name: ./encoder}",
        few_shot="{examples: 8}",
        train="{epochs: 2, batch_size: 16, micro_batch_tokens: 128, learning_rate: 1e-3, log_every: 1}",
    )
    return tmp_path


def _counts(pairs: Pairs) -> list[int]:
    """How often each pair comes, whichever text stands first."""
    return np.unique(np.sort(pairs.texts, 1), axis=0, return_counts=True)[1].tolist()


@pytest.mark.parametrize(("sizes", "times"), [((8, 8), 20), ((3, 9, 2), 50), ((30, 30), 3), ((2, 40), 4)])
def test_pairs_are_balanced_and_drawn_by_the_seed(sizes: tuple[int, ...], times: int) -> None:
    classes = np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    pairs = draw_pairs(classes, times, seed=5)
    first, second = classes[pairs.texts].T
    assert np.array_equal(first == second, pairs.same)
    assert pairs.same.sum() * 2 == len(pairs)
    assert (pairs.texts[:, 0] != pairs.texts[:, 1]).all()
    again = draw_pairs(classes, times, seed=5)
    assert np.array_equal(pairs.texts, again.texts)
    assert np.array_equal(pairs.same, again.same)
    assert not np.array_equal(pairs.texts, draw_pairs(classes, times, seed=6).texts)


def test_few_texts_make_all_pairs_and_many_so_many_of_each() -> None:
    all_pairs = draw_pairs(np.repeat([0, 1], 8), 20, seed=0)
    assert len(all_pairs) == 2 * 64  # 8 × 8 of two classes, and as many of one, of which there are 2 × 28
    assert len(_counts(all_pairs)) == 64 + 56
    drawn = draw_pairs(np.repeat([0, 1], 30), 3, seed=0)
    assert len(drawn) == 2 * 3 * 60
    for same in (True, False):
        assert np.bincount(drawn.texts[drawn.same == same, 0]).tolist() == [3] * 60


class _Embeds(torch.nn.Module):
    """Gives each text, padded or packed, its first token's row of a table, and so its last layer."""

    def __init__(self, vectors: torch.Tensor):
        super().__init__()
        self.vectors, self.last = torch.nn.Parameter(vectors), torch.nn.Linear(vectors.shape[1], 2)

    def forward(self, input_ids: torch.Tensor, packing=None, **_: object) -> torch.Tensor:
        firsts = input_ids[:, 0] if packing is None else input_ids[0, packing.first]
        return self.last(self.vectors[firsts])


def _batches(pairs: Pairs) -> PairBatches:
    """Texts 0 to 3 of 2, 5, 3 and 4 tokens, whose first token is their number."""
    lengths = np.array([2, 5, 3, 4])
    ids = np.concatenate([np.full(length, text, np.int32) for text, length in enumerate(lengths)])
    encoded = Encoded(ids, None, np.concatenate([[0], np.cumsum(lengths)]), 0)
    return PairBatches(Batches(encoded, np.zeros(4, np.int64), Padding(0, "right", ()), torch.device("cpu")), pairs)


@pytest.mark.parametrize("packed", [True, False])
def test_loss_is_the_squared_error_of_the_cosine(packed: bool) -> None:
    pairs = Pairs(np.array([[0, 1], [2, 1], [3, 0]]), np.array([True, False, True]))
    batches = _batches(pairs)
    model = _Embeds(torch.tensor([[3.0, 4.0], [4.0, 3.0], [0.0, 2.0], [-6.0, -8.0]]))
    lengths = np.array([7, 8, 6] if packed else [10, 10, 8])
    layout = Layout(128, 32, 16, packed)
    batch = batches.make(layout.lay_out([1, 0, 2], lengths, np.full(3, 2)))
    objective = CosineOfPairs(model.last)
    assert batch.examples == (1, 0, 2)
    # Cosines: of (0, 2) and (4, 3) 0.6; of (3, 4) and (4, 3) 24 / 25; of (-6, -8) and (3, 4) -1.
    assert objective.losses(model, batch).tolist() == pytest.approx([0.36, 0.04**2, 4.0], rel=1e-4)
    assert objective.weight(np.array([1, 0, 2])) == 3
    if not packed:
        assert batch.inputs["input_ids"].shape == (6, 16)
    idle = batches.make(MicroBatch((), 32, packed))
    assert (objective.losses(model, idle) * idle.mask).tolist() == [0]


def test_update_holds_whole_pairs_and_no_more_tokens_than_it_may(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.yaml")
    lengths, pairs = np.arange(4, 20, dtype=np.int32), draw_pairs(np.arange(16) % 2, 20, 0)
    for packed in (True, False):
        plan = Plan.of(recipe, lengths, packed=packed, pairs=pairs.texts)
        assert plan.updates == 2 * 8
        seen = [part for update in range(8) for part in plan.micro_batches(update)]
        assert sorted(one for part in seen for one in part.examples) == [*range(128)]
        assert max(part.tokens for part in seen) <= 128 + packed * 32  # the filler of packed rows
        assert all(width <= 32 for _, width in plan.micro_batch_stats(1).shapes)
        first, second = lengths[pairs.texts].T
        assert np.array_equal(plan.lengths, first + second if packed else 2 * np.maximum(first, second))


def test_so_many_examples_of_each_class_take_part(folder: Path) -> None:
    def taken(*overrides: str):
        return load_corpus(load_recipe(folder / "recipe.yaml", overrides), SingleLabel())

    whole, few = taken("~few_shot"), taken()
    assert np.bincount(few.train.labels).tolist() == [8, 8]
    assert {*few.train.rows} < {*whole.train.rows}
    assert few.validation.rows == whole.validation.rows
    assert few.train.rows == taken().train.rows
    assert few.train.rows != taken("seed=43", "data.split_seed=42").train.rows
    (folder / "one.csv").write_text("text,label\nbad,neg\ngood,pos\nfine,pos\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"few_shot.pairs: the class 'neg' has 1 training example; expected 2 or more"):
        taken(f"data.train={folder / 'one.csv'}", f"data.validation={folder / 'texts.csv'}")


def test_few_labels_teach_an_encoder_to_classify(folder: Path) -> None:
    done = train(folder, "evaluate.every=end", "train.epochs=5")
    assert done.returncode == 0, done.stderr
    assert "128 pairs of texts / 16 an update" in done.stdout
    assert "the head was fitted to what the encoder makes of the 16 training texts by now" in done.stdout
    results = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["rows"]["training"] == 16
    assert results["scores"]["accuracy"] > 0.65
    losses = [one["loss"] for one in metrics(folder / "run") if "loss" in one]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])
    asked = ("-m", "accel_cls.predict", "run", "--file", "texts.csv", "--out", "answers.csv")
    assert command("python", *asked, cwd=folder).returncode == 0
    right = [one["predicted"] == one["label"] for one in read_csv(folder / "answers.csv")]
    assert np.mean(right) > 0.65


def test_run_that_goes_on_ends_in_the_same_model(folder: Path) -> None:
    assert train(folder).returncode == 0
    assert_goes_on_exactly(folder / "run", update=8)


_STOPS_AT_THE_END = """
import os, signal, sys
from accel_cls.train import main
from accel_cls.training import loop

made = loop.accumulate_gradient
def stopping(training, update):
    if update == 15:
        os.kill(os.getpid(), signal.SIGUSR1)
    return made(training, update)
loop.accumulate_gradient = stopping
sys.exit(main(["recipe.yaml", "evaluate.every=end"]))
"""


def test_run_stopped_between_the_last_update_and_the_head_goes_on_with_it(folder: Path) -> None:
    stopped = command("python", "-c", _STOPS_AT_THE_END, cwd=folder)
    assert "after update 16 of 16" in " ".join(stopped.stdout.split())
    assert not (folder / "run" / "model").exists()
    done = train(folder, "evaluate.every=end")
    assert done.returncode == 0, done.stderr
    assert "continues an unfinished run from update 16" in done.stdout
    assert train(folder, "evaluate.every=end", "output=whole").returncode == 0
    left, right = (weights_of(folder / run / "model" / "model.safetensors") for run in ("run", "whole"))
    assert left == right


def test_two_processes_learn_the_same(folder: Path) -> None:
    one = train(folder, "output=one", "model.dropout=0")
    two = train_by(2, folder, "output=two", "model.dropout=0")
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    for left, right in zip(metrics(folder / "one"), metrics(folder / "two"), strict=True):
        assert numbers(left) == pytest.approx(numbers(right), rel=1e-4)
