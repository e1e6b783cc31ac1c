"""Objectives of several passes: values by independent formulas, packed as padded, any cut, any number of processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from memory_setups import setup_of
from packed_texts import batches_of_texts, small_model
from torch.nn.functional import cross_entropy

from accel_cls.batching.batches import Batch
from accel_cls.batching.layout import Layout, MicroBatch
from accel_cls.memory.forecast import training_memory
from accel_cls.memory.sizes import MicroBatchSizes
from accel_cls.models.packing import make_packable
from accel_cls.models.recomputing import recompute_layers
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.loss import Loss as Form
from accel_cls.tasks.losses import CrossEntropy
from accel_cls.training.objective import Supervised
from accel_cls.training.objectives.adversarial import Adversarial
from accel_cls.training.objectives.contrastive import Contrastive, contrast
from accel_cls.training.objectives.r_drop import RDrop

CPU = torch.device("cpu")
LABELS = batches_of_texts(0).labels
WEIGHTS = np.array([1.0, 0.5, 4.0])  # float64, as the models here are
SUPERVISED = Supervised(CrossEntropy(WEIGHTS, 0.1, CPU), LABELS)
SIZE, TEMPERATURE = 0.5, 0.4


def bert(dropout: float = 0.0) -> torch.nn.Module:
    return small_model("bert", {}, dropout).train()


def adversarial(model: torch.nn.Module, steps: int, size: float = SIZE, inner=SUPERVISED) -> Adversarial:
    return Adversarial(inner, model.get_input_embeddings(), size, steps)


def passed(objective, model: torch.nn.Module, micro_batches: list[MicroBatch], first: int = 0):
    """The losses by example, and the gradient of all of them; dropout's draws follow from the micro-batch."""
    model.zero_grad()
    losses = torch.zeros(len(LABELS), dtype=torch.float64)
    for at, part in enumerate(micro_batches):
        batch = batches_of_texts(first).make(part)
        torch.manual_seed(at)
        found = objective.losses(model, batch)
        assert found.shape == batch.mask.shape
        losses[list(part.examples)] = found.detach()[: len(part.examples)]
        (found * batch.mask).sum().backward()
    return losses, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def layouts() -> tuple[list[MicroBatch], list[MicroBatch], list[MicroBatch]]:
    """All examples in one micro-batch, padded; in one, packed; and in several, packed."""
    lengths = batches_of_texts(0).encoded.lengths
    whole = Layout(70 * 9, 160)
    padded = [whole.lay_out(np.argsort(-lengths, kind="stable").tolist(), lengths)]
    packed = [Layout(400, 160, packed=True).to_micro_batches(np.arange(9), lengths)[0]]
    several = Layout(160, 160, packed=True).to_micro_batches(np.arange(9), lengths)
    assert len(several) > 1
    assert len(packed[0].examples) == 9
    return padded, packed, several


def assert_same(found, expected) -> None:
    assert (found[0] - expected[0]).abs().max() < 1e-10 * expected[0].abs().max()
    assert found[1].keys() == expected[1].keys()
    scale = max(gradient.abs().max() for gradient in expected[1].values())
    for name, gradient in expected[1].items():
        assert (gradient - found[1][name]).abs().max() < 1e-10 * scale, name


def text_of(example: int) -> torch.Tensor:
    encoded = batches_of_texts(0).encoded
    start, end = encoded.offsets[example], encoded.offsets[example + 1]
    return torch.from_numpy(encoded.ids[start:end].astype(np.int64))[None]


def own_loss(model: torch.nn.Module, example: int, embedded: torch.Tensor) -> torch.Tensor:
    """Of one text alone, of its embedded tokens."""
    logits = model(inputs_embeds=embedded).logits
    weights = torch.from_numpy(WEIGHTS)
    label = torch.tensor(LABELS[example : example + 1])
    return (weights[label] * cross_entropy(logits, label, reduction="none", label_smoothing=0.1))[0]


def one_by_one(model: torch.nn.Module, of_text) -> tuple[torch.Tensor, dict]:
    """The same by a function of each text alone: (model, example, embedded tokens) → its loss."""
    model.zero_grad()
    losses = []
    for example in range(len(LABELS)):
        losses.append(of_text(model, example, model.get_input_embeddings()(text_of(example))))
        losses[-1].backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return torch.stack(losses).detach(), gradients


# Adversarial training


def moved_loss(steps: int):
    """Clean loss and that of the moved text, written down once more for a single text."""

    def of_text(model: torch.nn.Module, example: int, embedded: torch.Tensor) -> torch.Tensor:
        move = torch.zeros_like(embedded)
        for _ in range(steps):
            at = (embedded + move).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(own_loss(model, example, at), at)
            move = move + SIZE * min(1, 2.5 / steps) * gradient / gradient.norm()
            move = move * min(1, SIZE / move.norm().item())
        return own_loss(model, example, embedded) + own_loss(model, example, embedded + move)

    return of_text


@pytest.mark.parametrize("steps", [1, 3])
def test_adversarial_loss_is_that_of_the_text_and_of_the_moved_text(steps: int) -> None:
    """In one micro-batch or several, padded or packed: as if each text were alone."""
    model = bert()
    expected = one_by_one(model, moved_loss(steps))
    objective = adversarial(model, steps)
    padded, packed, several = layouts()
    assert_same(passed(objective, model, padded), expected)
    first = make_packable(model)
    assert_same(passed(objective, model, packed, first), expected)
    assert_same(passed(objective, model, several, first), expected)
    assert objective.weight(np.arange(9)) == SUPERVISED.weight(np.arange(9))


def moves_of(model: torch.nn.Module, objective: Adversarial, part: MicroBatch, first: int) -> list[torch.Tensor]:
    """How far each pass has moved what the embedding puts out, [tokens, hidden]."""
    outputs, batch = [], batches_of_texts(first).make(part)
    inner, clean = objective.inner, model.get_input_embeddings().weight[batch.inputs["input_ids"]]

    class Spy:
        def weight(self, examples):
            return inner.weight(examples)

        def losses(self, model, batch):
            hook = objective.embedding.register_forward_hook(lambda _, __, output: outputs.append(output.detach()))
            try:
                return inner.losses(model, batch)
            finally:
                hook.remove()

    Adversarial(Spy(), objective.embedding, objective.size, objective.steps).losses(model, batch)
    return [(output - clean.detach())[0] for output in outputs]


def test_moves_have_the_norm_of_each_text_and_stay_in_the_ball() -> None:
    model = bert()
    first = make_packable(model)
    _, (part,), _ = layouts()
    lengths = batches_of_texts(0).encoded.lengths[list(part.examples)].tolist()

    def norms(move: torch.Tensor) -> list[float]:
        *texts, fillers = move.split([*lengths, len(move) - sum(lengths)])
        assert not fillers.any()
        return [text.norm().item() for text in texts]

    clean, moved = moves_of(model, adversarial(model, 1), part, first)
    assert not clean.any()
    assert norms(moved) == pytest.approx([SIZE] * 9, rel=1e-12)
    clean, *steps = moves_of(model, adversarial(model, 4), part, first)
    assert not clean.any()
    assert norms(steps[0]) == pytest.approx([SIZE * 2.5 / 4] * 9, rel=1e-12)
    assert all(norm <= SIZE * (1 + 1e-12) for step in steps for norm in norms(step))
    assert max(norms(steps[-1])) == pytest.approx(SIZE, rel=1e-9), "some text has come to the ball's surface"


def test_moves_make_the_loss_worse_by_their_size_times_the_gradients_norm() -> None:
    """For a small move; and the other way round it would be better by as much."""
    model, size = bert(), 1e-5
    make_packable(model)
    _, packed, _ = layouts()
    clean = passed(SUPERVISED, model, packed)[0]
    both = passed(adversarial(model, 1, size), model, packed)[0]
    for example in range(9):
        embedded = model.get_input_embeddings()(text_of(example)).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(own_loss(model, example, embedded), embedded)
        assert (both - 2 * clean)[example].item() == pytest.approx(size * gradient.norm().item(), rel=1e-3)


def test_adversarial_passes_change_no_weight_and_leave_no_hook() -> None:
    model = bert()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    padded, _, _ = layouts()
    passed(adversarial(model, 3), model, padded)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.get_input_embeddings()._forward_hooks
    plain = passed(SUPERVISED, model, padded)
    model.get_input_embeddings().weight.requires_grad_(False)  # a frozen table is moved all the same
    frozen = passed(adversarial(model, 1), model, padded)
    assert (frozen[0] > 2 * plain[0]).all()


def test_text_without_a_gradient_stays_where_it_is() -> None:
    """Of a weight of 0, say: no division by a norm of 0."""
    model = bert()
    silent = Supervised(CrossEntropy(np.zeros(3), 0.0, CPU), LABELS)
    padded, _, _ = layouts()
    losses, gradients = passed(adversarial(model, 3, inner=silent), model, padded)
    assert not losses.any()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


# R-Drop


def test_r_drop_is_the_mean_of_two_passes_and_their_divergence() -> None:
    model = bert(dropout=0.3)
    make_packable(model)
    _, (part,), _ = layouts()
    batch = batches_of_texts(0).make(part)
    torch.manual_seed(7)
    found = RDrop(SUPERVISED, SUPERVISED, 2.0).losses(model, batch)
    torch.manual_seed(7)
    first, second = (model(**batch.inputs).logits for _ in range(2))
    assert not torch.equal(first, second)
    p, q = first.softmax(1), second.softmax(1)
    apart = ((p * (p / q).log()).sum(1) + (q * (q / p).log()).sum(1)) / 2
    weights = torch.from_numpy(WEIGHTS)
    each = [
        weights[batch.labels] * cross_entropy(logits, batch.labels, reduction="none", label_smoothing=0.1)
        for logits in (first, second)
    ]
    expected = (each[0] + each[1]) / 2 + 2.0 * weights[batch.labels] * apart
    assert ((found - expected) * batch.mask).abs().max() < 1e-10
    assert apart.min() > 1e-4


def test_r_drop_without_dropout_is_one_pass_however_it_is_cut() -> None:
    model = bert()
    make_packable(model)
    _, packed, several = layouts()
    expected = passed(SUPERVISED, model, packed)
    objective = RDrop(SUPERVISED, SUPERVISED, 2.0)
    assert_same(passed(objective, model, packed), expected)
    assert_same(passed(objective, model, several), expected)
    assert objective.weight(np.arange(9)) == SUPERVISED.weight(np.arange(9))


# The contrastive loss


def test_contrast_of_a_made_batch_by_hand() -> None:
    """Unit vectors at 0°, 0°, 90° and 180°; the first three of one class, the last one of another, alone in it."""
    vectors = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    labels, mask = torch.tensor([1, 1, 1, 0]), torch.ones(4)
    near = -(np.log(np.e / (np.e + 1 + 1 / np.e)) + np.log(1 / (np.e + 1 + 1 / np.e))) / 2
    found = contrast(vectors, labels, mask, 1.0).tolist()
    assert found == pytest.approx([near, near, np.log(3), 0], rel=1e-6)
    assert contrast(vectors, labels, mask, 0.5).tolist()[0] == pytest.approx(
        -np.log(np.exp(2) / (np.exp(2) + 1 + np.exp(-2))) + 1, rel=1e-6
    )


def test_fillers_and_vectors_that_are_not_finite_take_no_part_in_contrast() -> None:
    vectors = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 0, 0, 0])
    expected = contrast(vectors[:3], labels[:3], torch.ones(3), 0.3)
    vectors[4] = torch.nan
    vectors.requires_grad_()
    found = contrast(vectors, labels, torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0]), 0.3)
    assert found.tolist() == pytest.approx([*expected.tolist(), 0, 0])
    alone = contrast(vectors[:2], labels[:2], torch.tensor([1.0, 0.0]), 0.3)
    assert alone.tolist() == [0, 0]
    (gradient,) = torch.autograd.grad(alone.sum(), vectors)
    assert not gradient.nan_to_num(1.0)[:2].any()


def test_contrastive_loss_compares_what_the_head_reads_packed_as_padded() -> None:
    model = bert()
    objective = Contrastive(SUPERVISED, SUPERVISED, model.classifier, 0.75, TEMPERATURE)
    padded, packed, _ = layouts()
    expected = passed(objective, model, padded)
    plain = passed(SUPERVISED, model, padded)[0]
    with torch.no_grad():
        vectors = torch.cat([model.bert(text_of(example)).pooler_output for example in range(9)])
    apart = contrast(vectors, torch.tensor(LABELS), torch.ones(9), TEMPERATURE)
    weights = torch.from_numpy(WEIGHTS[LABELS])
    assert (expected[0] - plain - 0.75 * weights * apart).abs().max() < 1e-10
    assert apart.max() > 1
    first = make_packable(model)
    assert_same(passed(objective, model, packed, first), expected)


def test_objectives_wrap_one_another() -> None:
    """All at once, without dropout: twice the contrastive loss, with the moved text's in the second."""
    model = bert()
    first = make_packable(model)
    _, packed, _ = layouts()
    inner = Contrastive(SUPERVISED, SUPERVISED, model.classifier, 0.75, TEMPERATURE)
    once = passed(adversarial(model, 2, inner=inner), model, packed, first)
    twice = passed(adversarial(model, 2, inner=RDrop(inner, SUPERVISED, 3.0)), model, packed, first)
    assert_same(twice, once)


def test_layers_may_be_computed_again_for_each_of_several_backward_passes() -> None:
    """With gradient checkpointing, whose second pass of a layer draws the first one's dropout."""
    kept, again = bert(dropout=0.3), bert(dropout=0.3)
    _, packed, _ = layouts()
    for model in (kept, again):
        make_packable(model)
    recompute_layers(again, "train.gradient_checkpointing")
    expected, found = (
        passed(adversarial(model, 2, inner=RDrop(SUPERVISED, SUPERVISED, 1.0)), model, packed)
        for model in (kept, again)
    )
    assert_same(found, expected)


def test_process_without_examples_goes_along() -> None:
    """Under FSDP each pass is a collective operation: one that has no example left makes as many."""
    model = bert(dropout=0.3)
    make_packable(model)
    inner = RDrop(Contrastive(SUPERVISED, SUPERVISED, model.classifier, 0.75, TEMPERATURE), SUPERVISED, 1.0)
    batch: Batch = batches_of_texts(0).make(MicroBatch((), 32, packed=True))
    losses = adversarial(model, 2, inner=inner).losses(model, batch)
    (losses * batch.mask).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


# What they need of a model, of memory, of hardware


def saved_bytes(objective, model: torch.nn.Module) -> int:
    """What is kept for the backward pass of a micro-batch, without the weights."""
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    padded, _, _ = layouts()
    seen, of_pass = [], torch.autograd.grad

    def forget(*arguments, retain_graph: bool, **options):
        found = of_pass(*arguments, retain_graph=retain_graph, **options)
        if not retain_graph:
            seen.append(sum(one.nbytes() for one in saved.values()))
            saved.clear()
        return found

    with pytest.MonkeyPatch.context() as patch, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        patch.setattr(torch.autograd, "grad", forget)
        objective.losses(model, batches_of_texts(0).make(padded[0]))
    own = {tensor.untyped_storage()._cdata for tensor in model.state_dict().values()}
    return sum(storage.nbytes() for at, storage in saved.items() if at not in own)


def test_memory_counts_the_passes_that_are_kept() -> None:
    """In passes of the plain objective; PGD's first move is over, and with it what it took, all but the clean pass."""
    model = bert()
    one = saved_bytes(SUPERVISED, model)
    twice, fgm = RDrop(SUPERVISED, SUPERVISED, 1.0), adversarial(model, 1)
    both = adversarial(model, 1, inner=twice)
    for objective, form in (
        (twice, Form(r_drop=1)),
        (fgm, Form(adversarial="fgm")),
        (both, Form(r_drop=1, adversarial="fgm")),
    ):
        assert saved_bytes(objective, model) / one == pytest.approx(form.kept_passes, rel=0.05)
    assert Form().kept_passes == 1
    assert Form(adversarial="pgd").kept_passes == 2


def test_auto_tries_as_many_passes_as_are_kept(tmp_path: Path, monkeypatch) -> None:
    recipe = Recipe.model_validate(
        {"name": "a", "output": "o", "data": {"train": "a.csv"}, "loss": {"r_drop": 1, "adversarial": "fgm"}}
    )
    sizes = MicroBatchSizes.of(recipe, np.array([9, 30]))
    assert sizes.passes == 4
    model = small_model("bert", {})
    plain, several = (training_memory(model, setup_of("DDP", 1), (2, 32), 1000, passes=passes) for passes in (1, 4))
    assert (plain.activations, several.activations) == (1000, 4000)
    assert plain.backward == several.backward == 250, "backward goes one pass at a time"
    assert "2 × 32 tokens, 4 passes)" in str(several)


def test_arithmetic_counts_each_pass() -> None:
    """In forward passes: FGM is two passes there and back, and back from the first one to the embeddings once more."""
    assert Form().work == 3
    assert Form(r_drop=1).work == 6
    assert Form(adversarial="fgm").work == 7
    assert Form(adversarial="pgd", adversarial_steps=3).work == 11
    assert Form(adversarial="fgm", r_drop=1).work == 14
