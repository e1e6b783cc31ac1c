"""A finished model that teaches a smaller one: `distill`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import cli, train, write_recipe
from run_results import interrupt, metrics, numbers, read_csv
from safetensors.torch import load_file, save_file
from same_training import assert_goes_on_exactly, assert_two_processes_train_as_one
from sklearn.decomposition import PCA
from tiny import write_model, write_texts

from accel_cls.batching.batches import Batch
from accel_cls.data.labels import Classes
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks import Ordinal, Regression, SingleLabel
from accel_cls.tasks.soft_targets import sigmoid_divergence, softmax_divergence
from accel_cls.training.objective import Supervised
from accel_cls.training.objectives.distilled import Distilled
from accel_cls.training.objectives.hidden import HiddenDistilled
from accel_cls.training.principal_components import unit_components

TEACH = "distill={teacher: teacher, weight: 0.7, temperature: 2.0}"
REVERSED = "data.labels={pos: GOOD, neg: BAD}"  # the teacher's classes in another order
SMALL = ("~model.name", "model.scratch={layers: 1, hidden: 16, heads: 2, vocabulary: 100}")


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp(logits / temperature)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_divergence_and_its_gradient_are_what_is_written_by_hand(temperature: float) -> None:
    draw = np.random.default_rng(0)
    ours, theirs = draw.normal(size=(4, 3)) * 3, draw.normal(size=(4, 3)) * 3
    logits = torch.tensor(ours, requires_grad=True)
    losses = softmax_divergence(temperature)(logits, torch.tensor(theirs))
    p, q = softened(theirs, temperature), softened(ours, temperature)
    assert losses.tolist() == pytest.approx(temperature**2 * (p * np.log(p / q)).sum(1), rel=1e-9)
    losses.sum().backward()
    # T² (T's share of the chain rule is 1/T): what is left is T (q - p), which goes to the difference of the logits.
    assert logits.grad is not None
    assert logits.grad.numpy() == pytest.approx(temperature * (q - p), abs=1e-9)


def test_gradient_of_high_temperatures_keeps_its_size() -> None:
    """What the factor T² is for: without it the gradient at T = 1000 would be a millionth."""
    theirs = torch.tensor([[3.0, -1.0, -2.0]], dtype=torch.float64)  # a mean of 0, as there is no other information
    logits = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    softmax_divergence(1000.0)(logits, theirs).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist()[0] == pytest.approx((-theirs / 3).tolist()[0], rel=1e-2)


def test_divergence_of_a_class_by_itself_is_that_of_two_classes() -> None:
    draw = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(5, 3, generator=draw, dtype=torch.float64) for _ in range(2))

    def as_two(logits: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(0, 1)

    each = softmax_divergence(2.0)(as_two(ours), as_two(theirs)).view(5, 3)
    assert sigmoid_divergence(2.0)(ours, theirs).tolist() == pytest.approx(each.mean(1).tolist(), rel=1e-9)


def test_tasks_have_their_own_distance() -> None:
    logits, teacher = torch.tensor([[2.0], [5.0]]), torch.tensor([[4.0], [5.0]])
    labels = np.array([0.0, 4.0], np.float32)  # a deviation of 2
    assert Regression().soft_loss(labels, 3.0)(logits, teacher).tolist() == [1.0, 0.0]
    both = [
        task.soft_loss(np.array([0, 1]), 2.0)(teacher @ logits.T, logits @ logits.T)
        for task in (Ordinal(), SingleLabel())
    ]
    assert torch.equal(*both)


def distilled(share: float) -> Distilled:
    """Of three labelled texts, of which the last counts double, and two without labels."""
    labels, names = np.array([0, 0, 1]), ("a", "b")
    weights = Train.model_validate({"class_weights": {"a": 1.0, "b": 2.0}})
    loss = SingleLabel().loss(weights, labels, Classes(names, names), torch.device("cpu"))
    teacher = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    return Distilled(Supervised(loss, labels), softmax_divergence(2.0), teacher, share)


def test_text_without_a_label_counts_by_the_share_of_the_teacher() -> None:
    assert distilled(0.25).weight(np.array([0, 2])) == pytest.approx(0.75 * 3 + 0.25 * 2)
    assert distilled(0.25).weight(np.array([1, 3, 4])) == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert distilled(0.0).weight(np.array([0, 2])) == 3


def test_losses_are_the_task_s_and_the_teacher_s_by_their_shares() -> None:
    objective = distilled(0.25)
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    examples = (4, 2, 0)  # and a filler
    batch = Batch({}, torch.tensor([0, 1, 0, 0]), torch.tensor([1.0, 1.0, 1.0, 0.0]), examples)
    found = objective.losses(lambda: SimpleNamespace(logits=logits), batch)  # type: ignore[arg-type]
    own = objective.supervised.of_logits(logits, batch)
    soft = softmax_divergence(2.0)(logits[:3], torch.tensor(objective.teacher[[4, 2, 0]]))
    expected = 0.25 * soft + 0.75 * own[:3] * torch.tensor([0.0, 1.0, 1.0])
    assert found[:3].tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_components_are_principal_ones_of_length_1() -> None:
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(40, 6)) * [9, 1, 5, 3, 2, 1] @ draw.normal(size=(6, 6)) + 4
    expected = PCA(3, svd_solver="full").fit_transform(vectors)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = unit_components(vectors, 3)
    signs = np.sign((found * expected).sum(0))
    assert found * signs == pytest.approx(expected, abs=1e-6)
    assert unit_components(-vectors, 3) == pytest.approx(-found, abs=1e-6), "a direction points one way"


def test_a_wider_student_keeps_the_teacher_s_angles() -> None:
    vectors = np.random.default_rng(2).normal(size=(20, 4)).astype(np.float32)
    found, apart = unit_components(vectors, 7), vectors - vectors.mean(0)
    unit = apart / np.linalg.norm(apart, axis=1, keepdims=True)
    assert found.shape == (20, 7)
    assert found @ found.T == pytest.approx(unit @ unit.T, abs=1e-5)
    assert not found[:, 4:].any()
    assert not unit_components(np.ones((3, 4)), 2).any(), "no text differs from another"


def test_distance_of_vectors_is_added_for_texts_with_and_without_a_label() -> None:
    inner, layer = distilled(0.25), torch.nn.Linear(3, 2)
    vectors = np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    objective = HiddenDistilled(inner, layer, vectors, 0.5)
    ours = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    batch = Batch({}, torch.tensor([0, 1, 0, 0]), torch.tensor([1.0, 1.0, 1.0, 0.0]), (4, 2, 0))

    def model() -> SimpleNamespace:
        return SimpleNamespace(logits=layer(ours))

    found, plain = objective.losses(model, batch), inner.losses(model, batch)  # type: ignore[arg-type]
    cosines = torch.nn.functional.cosine_similarity(ours[:3], torch.from_numpy(vectors[[4, 2, 0]]))
    assert (found - plain)[:3].tolist() == pytest.approx((0.5 * (2 - 2 * cosines)).tolist(), rel=1e-5)
    examples = np.array([0, 3])
    assert objective.weight(examples) == inner.weight(examples)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished teacher, whose tokenizer is no student's; tests use outputs of their own."""
    folder = tmp_path_factory.mktemp("taught")
    write_model(folder / "encoder")
    write_texts(folder / "texts.csv", 160, range(1, 9))
    write_recipe(
        folder,
        data="{train: texts.csv, text: text, label: label, labels: {neg: BAD, pos: GOOD}, max_length: 32}",
        model="{name: ./encoder}",
        train="{epochs: 2, batch_size: 16, micro_batch_tokens: 256, learning_rate: 3e-3, log_every: 1}",
    )
    done = train(folder, "output=teacher")
    assert done.returncode == 0, done.stderr
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def test_weight_0_is_plain_training_to_the_bit(taught: Path) -> None:
    plain = train(taught, *SMALL, "output=plain")
    none = train(taught, *SMALL, TEACH, "distill.weight=0.0", "output=none")
    assert plain.returncode == none.returncode == 0, plain.stderr + none.stderr
    ours, theirs = weights(taught / "plain"), weights(taught / "none")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [*map(numbers, metrics(taught / "plain"))] == [*map(numbers, metrics(taught / "none"))]


def test_student_comes_near_to_its_teacher(taught: Path) -> None:
    """With the whole loss a distance to the teacher: it falls, and labels are not looked at."""
    done = train(taught, *SMALL, TEACH, "distill.weight=1.0", REVERSED, "train.epochs=6", "output=near")
    assert done.returncode == 0, done.stderr
    assert "teacher" in done.stdout
    assert "1 of the loss, at temperature 2" in done.stdout
    losses = [record["loss"] for record in metrics(taught / "near") if "loss" in record]
    assert np.mean(losses[-8:]) < 0.5 * np.mean(losses[:8])
    results = json.loads((taught / "near" / "results.json").read_text(encoding="utf-8"))
    assert results["teacher"]["judged_texts_learned"] == {"validation": 0}, "the same data and seed: the same split"
    assert "Taught by" in (taught / "near" / "report.md").read_text(encoding="utf-8")
    assert "taught by teacher" in (taught / "near" / "model" / "README.md").read_text(encoding="utf-8")
    theirs = [row["predicted"] for row in read_csv(taught / "teacher" / "predictions.csv")]
    ours = [row["predicted"] for row in read_csv(taught / "near" / "predictions.csv")]
    assert np.mean([one == other for one, other in zip(ours, theirs, strict=True)]) > 0.7, "classes are told by name"


def test_texts_without_labels_are_learned_by_two_processes_and_after_a_stop(taught: Path) -> None:
    write_texts(taught / "more.csv", 40, range(9, 12), seed=1)
    with open(taught / "more.csv", "a", encoding="utf-8") as file:
        file.writelines((taught / "texts.csv").read_text(encoding="utf-8").splitlines(keepends=True)[1:11])
        file.write('" ",\n')
    taught_how = ("distill.texts=more.csv", "distill.hidden=1.5")
    options = (*SMALL, TEACH, *taught_how, "model.dropout=0", "checkpoint={every: 10, keep: 9}")
    said = assert_two_processes_train_as_one(taught, *options)
    assert "and 40 without labels (distill.texts)" in said
    assert "of 51 texts 40 are taken; 1 are empty; 10 are training, validation or test texts" in said
    assert_goes_on_exactly(taught / "one", *options, update=10)


def test_vectors_come_near_to_the_teacher_s(taught: Path) -> None:
    """Unrelated ones are 2 apart, and the task's own loss is below 1."""
    done = train(taught, *SMALL, TEACH, "distill={weight: 0, hidden: 20}", "train.epochs=6", "output=vectors")
    assert done.returncode == 0, done.stderr
    assert "20 times the distance of its vectors" in done.stdout
    losses = [record["loss"] for record in metrics(taught / "vectors") if "loss" in record]
    assert np.mean(losses[:4]) > 25
    assert np.mean(losses[-8:]) < 0.6 * np.mean(losses[:4])
    assert "20 times the distance of vectors" in (taught / "vectors" / "report.md").read_text(encoding="utf-8")


def test_answers_are_kept_and_asked_for_anew_of_another_teacher(taught: Path) -> None:
    own = taught / "own"
    shutil.copytree(taught / "teacher" / "model", own / "model")
    options = (*SMALL, TEACH, "distill.teacher=own", "train.max_updates=2", "output=anew")
    cache = {"XDG_CACHE_HOME": str(taught / "cache")}

    def kept() -> set[str]:
        return {path.name for path in (taught / "cache" / "accel_cls" / "teacher").iterdir() if path.name[0] != "."}

    first = train(taught, *options, env=cache)
    assert first.returncode == 0, first.stderr
    assert "is not known: there is no run folder around its model" in first.stdout
    assert len(kept()) == 1
    assert train(taught, *options, "--fresh", env=cache).returncode == 0
    assert len(kept()) == 1
    state = weights(own)
    save_file(
        {**state, "classifier.bias": state["classifier.bias"] + 1},
        own / "model" / "model.safetensors",
        {"format": "pt"},
    )
    interrupt(taught / "anew", 2)
    refused = train(taught, *options, env=cache)
    assert refused.returncode == 2
    assert "distill.teacher: the model in " in refused.stderr, "a run does not go on with another teacher"
    assert train(taught, *options, "--fresh", env=cache).returncode == 0
    assert len(kept()) == 2


def test_teacher_that_has_learned_judged_texts_is_told_of(taught: Path, capsys: pytest.CaptureFixture) -> None:
    options = (*SMALL, TEACH, "data.split_seed=1", "train.max_updates=2", "output=flattered")
    done = train(taught, *options)
    assert done.returncode == 0, done.stderr
    assert "of the validation texts, with their labels: these scores flatter" in done.stdout
    assert "The teacher was trained on" in (taught / "flattered" / "model" / "README.md").read_text(encoding="utf-8")
    status, said, _ = cli(
        capsys, "check", str(taught / "recipe.yaml"), *options, f"distill.teacher={taught / 'teacher'}"
    )
    assert status == 1
    assert "the teacher was trained on" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("data.labels={neg: BAD, pos: FINE}",), "only the teacher has GOOD; it lacks FINE"),
        (("task=regression", "~data.labels", "data.label=number"), "was trained for single_label_classification"),
        (("distill.teacher=encoder",), "no trained classifier"),
        (("distill.teacher=.",), "found no run and no model; expected a run folder"),
        (
            ("distill.teacher=teachr",),
            "there is no folder 'teachr'; train the teacher first, or name a run that is there",
        ),
        (("distill.texts=texts.csv",), "distill.texts: no text is left of 160"),
    ],
)
def test_what_can_not_teach_is_refused(taught: Path, options: tuple[str, ...], said: str) -> None:
    lines = (taught / "texts.csv").read_text(encoding="utf-8").splitlines()
    numbered = [f"{line},{i if i else 'number'}" for i, line in enumerate(lines)]
    (taught / "numbers.csv").write_text("\n".join(numbered) + "\n", encoding="utf-8")
    source = ("data.train=numbers.csv",) if "task=regression" in options else ()
    done = train(taught, *SMALL, TEACH, *options, *source, "output=refused")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
