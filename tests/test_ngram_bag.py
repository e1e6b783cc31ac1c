"""The bag of n-grams: what is counted, padding, exactness, pairs, several labels, and what a recipe may say of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import command, train, train_by, write_recipe
from run_results import metrics, numbers, read_csv
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one

from accel_cls.data.texts import Texts
from accel_cls.models.own import ngrams
from accel_cls.models.own.configurations import NgramBagConfig
from accel_cls.models.own.ngram_bag import NgramBagForSequenceClassification
from accel_cls.models.own.ngrams import count_ngrams
from accel_cls.recipe import load_recipe
from accel_cls.recipe.errors import RecipeError
from accel_cls.recipe.rules import idle_settings
from accel_cls.tokenization.tokenizer import settle_special_tokens
from accel_cls.tokenization.vocabulary import learn_characters

MODEL = "{scratch: {architecture: ngrams, hidden: 16, vocabulary: 200, longest_ngram: 3, dropout: 0.2}}"


@pytest.fixture
def bag(work: Path) -> Path:
    """A folder with the tiny data set and a recipe of a bag of n-grams for it."""
    write_recipe(work, model=MODEL)
    return work


def _flat(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(texts).astype(np.int32), np.cumsum([0, *map(len, texts)]).astype(np.int64)


def _model(texts: list[list[int]], **kind: Any) -> NgramBagForSequenceClassification:
    counted = count_ngrams(*_flat(texts), vocabulary=20, longest=3, most=1000)
    config = NgramBagConfig(vocab_size=20, num_ngrams=len(counted.keys), hidden_size=8, num_labels=3, **kind)
    torch.manual_seed(0)
    model = NgramBagForSequenceClassification(config)
    model.set_ngrams(counted)
    torch.nn.init.normal_(model.bag.embeddings.weight)
    torch.nn.init.normal_(model.classifier.weight)
    return model.eval()


TEXTS = [[2, 5, 6, 7, 3], [2, 5, 6, 3], [2, 8, 5, 6, 7, 7, 3], [2, 3], [2, 9, 9, 9, 3]]


def test_counts_the_ngrams_of_two_texts_and_weighs_rare_ones_more(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count_ngrams(*_flat(TEXTS), vocabulary=20, longest=3, most=1000)

    def key(*ids: int) -> int:
        return sum((i + 1) * 21 ** (len(ids) - 1 - place) for place, i in enumerate(ids))

    of_texts = {(2,): 5, (3,): 5, (5,): 3, (6,): 3, (7,): 2, (2, 5): 2, (5, 6): 3, (6, 7): 2, (7, 3): 2}
    of_texts |= {(2, 5, 6): 2, (5, 6, 7): 2}
    assert counted.keys.tolist() == sorted(key(*ids) for ids in of_texts)
    weights = dict(zip(counted.keys.tolist(), counted.weights.tolist(), strict=True))
    for ids, texts in of_texts.items():
        assert weights[key(*ids)] == pytest.approx(np.log(6 / (1 + texts)) + 1)
    most = count_ngrams(*_flat(TEXTS), vocabulary=20, longest=3, most=3)
    assert most.keys.tolist() == [key(2), key(3), key(5)], "among equals the smaller"
    monkeypatch.setattr(ngrams, "_TOKENS_AT_ONCE", 6)
    pieces = count_ngrams(*_flat(TEXTS), vocabulary=20, longest=3, most=1000)
    assert torch.equal(pieces.keys, counted.keys)
    assert torch.equal(pieces.weights, counted.weights)
    assert len(count_ngrams(*_flat([[2, 5, 3]]), vocabulary=20, longest=3, most=9).keys) == 6, "one text has to do"


def test_answers_do_not_depend_on_padding_and_do_on_the_order_of_tokens() -> None:
    model = _model(TEXTS)
    alone = torch.cat([model(torch.tensor([text])).logits for text in TEXTS])
    ids, mask = torch.full((5, 9), 5), torch.zeros(5, 9, dtype=torch.int64)
    for row, text in enumerate(TEXTS):
        ids[row, : len(text)], mask[row, : len(text)] = torch.tensor(text), 1
    assert torch.allclose(model(ids, mask).logits, alone, atol=1e-6)
    left = model(ids.roll(2, 1), mask.roll(2, 1)).logits
    assert torch.allclose(left, alone, atol=1e-6)
    turned = model(torch.tensor([[2, 7, 6, 5, 3]])).logits
    assert not torch.allclose(turned, alone[:1], atol=1e-3)
    unknown = model(torch.tensor([[11, 12]])).logits
    assert torch.allclose(unknown, model.classifier.bias[None]), "no n-gram is known"


def test_texts_of_a_pair_are_compared() -> None:
    model = _model(TEXTS, pairs=True)

    def logits(first: list[int], second: list[int], padding: int = 0) -> torch.Tensor:
        ids = torch.tensor([[*first, *second] + [5] * padding])
        types = torch.tensor([[0] * len(first) + [1] * len(second) + [0] * padding])
        mask = torch.tensor([[1] * (len(first) + len(second)) + [0] * padding])
        return model(ids, mask, types).logits

    same, other = logits(TEXTS[0], TEXTS[0]), logits(TEXTS[0], TEXTS[2])
    assert not torch.allclose(same, other, atol=1e-3)
    assert torch.allclose(logits(TEXTS[0], TEXTS[2], padding=3), other, atol=1e-6)
    found = model.bag.find(torch.tensor([TEXTS[0]]), torch.zeros(1, 5, dtype=torch.int64))
    one = model.bag(found.at, model.bag.dropped(found))
    vector = torch.cat([one, one, one * one, torch.zeros_like(one)], 1)
    assert torch.allclose(same, model.classifier(vector), atol=1e-6)


def test_ngrams_that_both_texts_have_are_told_from_those_of_one() -> None:
    """Held by sets of n-grams, text by text; also in a batch, where other rows and padding stand beside."""
    model = _model(TEXTS, pairs=True, overlap_size=2)
    pairs = [(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[0]), (TEXTS[3], TEXTS[4]), (TEXTS[4], [11, 12])]
    width = max(len(first) + len(second) for first, second in pairs)
    ids, part = torch.full((len(pairs), width), 5), torch.full((len(pairs), width), ngrams.NONE)
    for row, (first, second) in enumerate(pairs):
        ids[row, : len(first) + len(second)] = torch.tensor([*first, *second])
        part[row, : len(first)], part[row, len(first) : len(first) + len(second)] = 0, 1
    both = [model.bag.find(ids, part.masked_fill(part != i, ngrams.NONE)) for i in (0, 1)]
    got = model.overlap(both, [model.bag.dropped(found) for found in both])

    def counted(text: list[int]) -> dict[tuple[int, ...], float]:
        found: dict[tuple[int, ...], float] = {}
        for n in (1, 2, 3):
            for at in range(len(text) - n + 1):
                key = sum((i + 1) * 21 ** (n - 1 - place) for place, i in enumerate(text[at : at + n]))
                where = (model.bag.ngrams == key).nonzero()
                if len(where):
                    gram = (n, int(where))
                    found[gram] = found.get(gram, 0.0) + 1.0
        return found

    for row, texts in enumerate(pairs):
        sides = [counted(text) for text in texts]
        sums, squares = torch.zeros(2, 2), torch.zeros(2, 4)
        for one, other in (sides, sides[::-1]):
            length = sum(count * float(model.bag.weights[at]) ** 2 for (_, at), count in one.items()) ** 0.5
            for (n, at), count in one.items():
                weight, is_in = float(model.bag.weights[at]), (n, at) in other
                table = model.overlap.common if is_in else model.overlap.apart
                sums[0 if is_in else 1] += count * weight / length * table.weight[at].detach() / 2
                for column in (n - 1, 3):
                    squares[1, column] += count * weight**2
                    squares[0, column] += count * weight**2 * is_in
        shares = 4 * squares[0] / squares[1].clamp_min(1e-6)
        assert torch.allclose(got[row], torch.cat([sums.flatten(), shares]), atol=1e-5), row


@pytest.mark.parametrize("kind", [{}, {"pairs": True}, {"pairs": True, "overlap_size": 2}])
def test_saved_as_transformers_models_are(kind: dict, tmp_path: Path) -> None:
    model = _model(TEXTS, **kind)
    model.save_pretrained(tmp_path)
    again = NgramBagForSequenceClassification.from_pretrained(tmp_path).eval()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    ids = torch.tensor([TEXTS[0]])
    assert torch.equal(model(ids).logits, again(ids).logits)


def test_tokens_are_characters(tmp_path: Path) -> None:
    texts = ["Ab  好\tA", "ａ好 b", "😀x", "b😀"]
    tokenizer = learn_characters(Texts.of({"text": texts}), 100)
    settle_special_tokens(tokenizer, "")
    assert tokenizer.convert_ids_to_tokens(tokenizer("Ａ 好\n😀[CLS]")["input_ids"][:7]) == [
        "[CLS]", "a", " ", "好", " ", "😀", "[UNK]",
    ]  # fmt: skip
    assert tokenizer(" ")["input_ids"] == tokenizer("")["input_ids"]
    pair = tokenizer("a", "b")
    assert tokenizer.convert_ids_to_tokens(pair["input_ids"]) == ["[CLS]", "a", "[SEP]", "[CLS]", "b", "[SEP]"]
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1, 1]
    assert len(learn_characters(Texts.of({"text": texts}), 7)) == 7


def test_same_training_on_two_processes_and_after_a_stop(bag: Path) -> None:
    settings = ["model.dropout=0", "train.batch_size=31"]
    assert_two_processes_train_as_one(bag, *settings)
    whole = train(bag, "output=whole")
    assert whole.returncode == 0, whole.stderr
    assert_goes_on_exactly(bag / "whole", update=6)


@pytest.mark.parametrize("first", [True, False])
def test_where_lengths_are_made_one_first_a_sum_with_some_left_out_is_right_on_average(first: bool) -> None:
    model = _model(TEXTS, ngram_dropout=0.5, normalize_first=first, classifier_dropout=0.0).train()
    torch.nn.init.ones_(model.bag.embeddings.weight)  # they agree
    row = torch.tensor([[2, 5, 6, 7, 3]])
    part = torch.zeros_like(row)

    def vector() -> torch.Tensor:
        found = model.bag.find(row, part)
        return model.bag(found.at, model.bag.dropped(found))[0, 0]

    drawn = torch.stack([vector() for _ in range(2000)]).mean()
    model.eval()
    assert (abs(drawn / vector() - 1) < 0.05) == first


def test_numbers_are_learned_with_sums_that_are_right_on_average(bag: Path) -> None:
    kept = {}
    for task in ("single_label", "regression"):
        metric = "mae" if task == "regression" else "accuracy"
        judged = (f"evaluate.metrics=[{metric}]", f"evaluate.best={metric}", "data.labels=null")
        done = train(bag, f"task={task}", f"output={task}", *judged)
        assert done.returncode == 0, done.stderr
        config = json.loads((bag / task / "model" / "config.json").read_text(encoding="utf-8"))
        kept[task] = config["normalize_first"]
    assert kept == {"single_label": False, "regression": True}


def test_two_processes_have_the_losses_of_one_with_dropout(bag: Path) -> None:
    settings = ["train.min_micro_batches=2"]
    one, two = train(bag, *settings, "output=one"), train_by(2, bag, *settings, "output=two")
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    assert [numbers(r) for r in metrics(bag / "one")] == [
        pytest.approx(numbers(r), rel=1e-6) for r in metrics(bag / "two")
    ]


def test_learns_and_is_found_by_transformers_and_predict(bag: Path) -> None:
    done = train(bag, "train.epochs=4", "train.learning_rate=3e-2")
    assert done.returncode == 0, done.stderr
    assert json.loads((bag / "run" / "results.json").read_text(encoding="utf-8"))["scores"]["accuracy"] > 0.9
    row = read_csv(bag / "run" / "predictions.csv")[0]
    code = (
        "import accel_cls, transformers\n"
        f"say = transformers.pipeline('text-classification', 'run/model', top_k=None)\n"
        f"print(type(say.model).__name__); print({{one['label']: one['score'] for one in say([{row['text']!r}])[0]}})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=bag, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kind, scores = done.stdout.splitlines()
    assert kind == "NgramBagForSequenceClassification"
    for name, score in json.loads(scores.replace("'", '"')).items():
        assert score == pytest.approx(float(row[f"p({name})"]), abs=1e-5)
    said = command("python", "-m", "accel_cls.predict", "run", "--text", "太慢", cwd=bag)
    assert said.stdout.startswith("BAD"), said.stderr
    empty = command("python", "-m", "accel_cls.predict", "run", "--text", " ", cwd=bag)
    assert "Traceback" not in empty.stderr
    further = train(bag, "model.name=run/model", "output=further", "train.max_updates=1")
    assert further.returncode == 0, further.stderr
    assert "the head of model is kept: its classes are these" in further.stdout


def test_pairs_and_several_labels(tmp_path: Path) -> None:
    words = ["好吃", "太慢", "味道不错", "分量少"]
    rows = [(words[i % 4], words[i // 4 % 4]) for i in range(96)]
    lines = [f"{a}{i},{b},{'same' if a == b else 'other' if i % 2 else ''}" for i, (a, b) in enumerate(rows)]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,tags", *lines]), encoding="utf-8")
    data = "{train: pairs.csv, text: [a, b], label: tags, labels: [same, other], max_length: 40}"
    write_recipe(
        tmp_path, data=data, model=MODEL, evaluate="{metrics: [f1_micro], best: f1_micro}", task="multi_label"
    )
    done = train(tmp_path, "train.max_updates=3")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8"))
    assert (config["pairs"], config["problem_type"]) == (True, "multi_label_classification")


def test_check_and_plan_know_its_size(bag: Path) -> None:
    for name in ("check", "plan"):
        done = command(
            "accel-cls", name, "recipe.yaml", "data.max_length=128", "train.micro_batch_tokens=512", cwd=bag
        )
        assert not done.stderr
        assert "memory        weights" in done.stdout
    done = train(bag, "train.micro_batch_tokens=auto", "train.max_updates=1")
    assert done.returncode == 0, done.stderr


def test_what_an_architecture_has_not_is_told(bag: Path) -> None:
    recipe = load_recipe(bag / "recipe.yaml", ["model.scratch.heads=2"])
    assert [(key, why) for key, why, _ in idle_settings(recipe)] == [
        (("model", "scratch", "heads"), "not used: a model of architecture ngrams has none")
    ]
    other = load_recipe(bag / "recipe.yaml", ["model.scratch.architecture=bert"])
    assert [key for key, _, _ in idle_settings(other)] == [("model", "scratch", "longest_ngram")]
    with pytest.raises(RecipeError, match=r"found 6; expected 5 at most with a vocabulary of 5000"):
        load_recipe(bag / "recipe.yaml", ["model.scratch={longest_ngram: 6, vocabulary: 5000}"])
    done = train(bag, "model.pooling=mean")
    assert done.returncode == 2
    assert "model.pooling: found mean; " in done.stderr
