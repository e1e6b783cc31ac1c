"""Settings of a saved configuration that say how a model runs: a training and its model are as without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from conftest import command, train, write_recipe

SETTINGS = {
    "output_attentions": True,
    "output_hidden_states": True,
    "return_dict": False,
    "chunk_size_feed_forward": 4,
    "gradient_checkpointing": True,
    "attn_implementation": "eager",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts, and a recipe that trains m."""
    tiny.write_texts(tmp_path / "a.csv", 96, (3, 5, 8))
    tiny.write_texts(tmp_path / "b.csv", 32, (3, 5, 8), seed=1)
    write_recipe(
        tmp_path,
        data="{train: a.csv, validation: b.csv, max_length: 16}",
        model="{name: m}",
        train="{batch_size: 16, micro_batch_tokens: 256, max_updates: 2, log_every: 1}",
    )
    return tmp_path


def answers(folder: Path, model: str) -> str:
    done = command("python", "-m", "accel_cls.predict", model, "--text", "good food", "--text", "bad", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(run: Path) -> list[float]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record["loss"] for record in map(json.loads, lines) if "loss" in record]


@pytest.mark.parametrize("family", ["bert", "xlnet", "gpt2"])  # packed; padded by its own code; a decoder
def test_a_training_and_its_model_are_as_without_them(folder: Path, family: str) -> None:
    tiny.write_model(folder / "m", family, head={0: "neg", 1: "pos"})
    path = folder / "m" / "config.json"
    plain, predicted = json.loads(path.read_text(encoding="utf-8")), answers(folder, "m")
    assert train(folder, "output=plain").returncode == 0

    path.write_text(json.dumps(plain | SETTINGS), encoding="utf-8")
    assert answers(folder, "m") == predicted
    done = train(folder)
    assert done.returncode == 0, done.stderr
    assert f"{', '.join(sorted(SETTINGS))} of m are not used" in " ".join(done.stdout.split())
    assert losses(folder / "run") == losses(folder / "plain")
    saved, usual = (
        json.loads((folder / run / "model" / "config.json").read_text(encoding="utf-8")) for run in ("run", "plain")
    )
    assert saved == usual
    assert answers(folder, "run") == answers(folder, "plain")


RECIPES = {
    "of pairs": "name: a\noutput: b\ndata: {train: a.csv, text: [q1, q2]}\n",
    "not whole": "learning_rate: 2e-5\n",
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_beside_a_model_is_not_what_trained_it(folder: Path, recipe: str) -> None:
    """Only a run folder's is: one that has an origin.json."""
    tiny.write_model(folder / "m", head={0: "neg", 1: "pos"})
    (folder / "recipe.yaml").write_text(RECIPES[recipe], encoding="utf-8")
    assert answers(folder, "m").count("good food") == 1


def test_a_recipe_without_a_model_is_no_run(folder: Path) -> None:
    done = command("python", "-m", "accel_cls.predict", ".", "--text", "good food", cwd=folder)
    assert done.returncode == 2
    assert ".: found no run and no model; expected a run folder" in done.stderr


def test_a_model_folder_with_a_folder_called_model(folder: Path) -> None:
    tiny.write_model(folder / "m", head={0: "neg", 1: "pos"})
    (folder / "m" / "model").mkdir()
    assert answers(folder, "m").count("good food") == 1
