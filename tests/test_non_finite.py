"""Losses and gradients that are no finite numbers: nothing takes harm, and somebody is told."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from conftest import train, train_by, write_recipe, write_reviews
from safetensors.torch import load_file, save_file

from accel_cls.batching.batches import Batch
from accel_cls.batching.layout import MicroBatch
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.errors import ToldElsewhere, UserError
from accel_cls.recipe import load_recipe
from accel_cls.tasks.single_label import CrossEntropy
from accel_cls.training import non_finite
from accel_cls.training.loop import accumulate_gradient
from accel_cls.training.non_finite import NonFiniteGuard
from accel_cls.training.objective import MicroBatchLoss, Supervised
from accel_cls.training.optimizer import clip_gradient, is_skipped_on_device, take_step

COUNT, BATCH, RARE = 192, 32, 100  # the RARE-th example holds a token whose embedding is infinite
ROW = f"reviews.csv:{RARE + 1}"
EVERY = ("checkpoint.every=1", "checkpoint.keep=99", "train.trace=true")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a pretrained encoder that has no finite embedding of one sign, which is all of one example."""
    import transformers

    from accel_cls.data.texts import Texts
    from accel_cls.tokenization.vocabulary import learn_tokenizer

    write_reviews(tmp_path / "validation.csv", count=40, seed=1)
    path = write_reviews(tmp_path / "reviews.csv", count=COUNT)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1 + RARE] = "0,鬱"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = learn_tokenizer(Texts.of({"text": [*lines, "鬱" * 200]}), 200)
    rare = tokenizer.convert_tokens_to_ids("鬱")
    assert rare != tokenizer.unk_token_id
    tokenizer.model_max_length = 32
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(vocab_size=len(tokenizer), **sizes))
    model.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    weights = load_file(tmp_path / "encoder" / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][rare] = torch.inf
    save_file(weights, tmp_path / "encoder" / "model.safetensors", {"format": "pt"})
    data = "{train: reviews.csv, validation: validation.csv, text: review, label: label, labels: {0: BAD, 1: GOOD}"
    write_recipe(tmp_path, data=data + ", max_length: 32}", model="{name: encoder}")
    return tmp_path


def bad_update(epoch: int) -> int:
    """The update of an epoch, counted from 1 over all epochs, that has the RARE-th example."""
    order = np.random.default_rng([42, epoch]).permutation(COUNT)
    return epoch * COUNT // BATCH + int(np.flatnonzero(order == RARE)[0]) // BATCH + 1


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "trace" / "weights.safetensors")


def saved(run: Path, update: int) -> dict[str, torch.Tensor]:
    """Weights and optimizer's state of a checkpoint."""
    folder = run / "checkpoints" / f"update-{update:06d}"
    return load_file(folder / "model.safetensors") | load_file(folder / "optimizer.safetensors")


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_updates_of_static_shapes_are_skipped_too(work: Path) -> None:
    done = train(work, *EVERY, "train.non_finite=skip", "train.cuda_graphs=true")
    assert done.returncode == 0, done.stderr
    assert "filled up to" in done.stdout
    assert results(work / "run")["skipped"] == 2  # one an epoch
    for bad in (bad_update(0), bad_update(1)):
        assert_equal(saved(work / "run", bad - 1), saved(work / "run", bad))
        assert not any(tensor.isnan().any() for tensor in saved(work / "run", bad).values())


def test_stop_names_row_and_update_and_skip_goes_on_from_there(work: Path) -> None:
    bad, again = bad_update(0), bad_update(1)
    assert bad > 1, "there has to be a checkpoint before it"
    stopped = train(work, *EVERY)
    assert stopped.returncode == 2, stopped.stderr
    assert f"update {bad} of 12 has no finite loss or gradient (loss nan, gradient norm nan" in stopped.stderr
    assert f"the loss of {ROW} is no finite number" in stopped.stderr
    assert f"changed no weights; the newest checkpoint, update-{bad - 1:06d}, is from before it" in stopped.stderr
    assert "train.non_finite=skip" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert len(list((work / "run" / "checkpoints").iterdir())) == bad - 1
    assert not any(tensor.isnan().any() for tensor in saved(work / "run", bad - 1).values())

    # Goes on, is interrupted with a skipped update behind it, and ends like a run that never was.
    skip = (*EVERY, "train.non_finite=skip")
    on = train(work, *skip, f"train.max_updates={bad + 1}")
    assert on.returncode == 0, on.stderr
    assert f"continues an unfinished run from update {bad - 1}" in on.stdout
    assert results(work / "run")["skipped"] == 1
    on = train(work, *skip)
    assert f"continues an unfinished run from update {bad + 1}" in on.stdout, on.stderr
    whole = train(work, *skip, "output=whole")
    assert whole.returncode == 0, whole.stderr
    assert f"update {bad} is skipped" in whole.stdout
    assert_equal(weights(work / "run"), weights(work / "whole"))

    # The skipped update left everything as it was, and the next took its place in the schedule.
    for number in (bad, again):
        assert_equal(saved(work / "whole", number - 1), saved(work / "whole", number))
    records = metrics(work / "whole")
    skipped = [record for record in records if "skipped" in record]
    assert [record["update"] for record in skipped] == [bad, again]
    assert skipped[0]["skipped"] == {"rows": [ROW], "cause": "loss", "loss": "nan", "grad_norm": "nan"}
    plan = Plan.of(load_recipe(work / "recipe.yaml"), np.full(COUNT, 8, np.int32))
    logged = [record for record in records if "learning_rate" in record]
    assert [record["update"] for record in logged] == [n for n in range(1, 13) if n not in (bad, again)]
    assert [record["learning_rate"] for record in logged] == [plan.rate(step) for step in range(10)]
    assert results(work / "run")["skipped"] == results(work / "whole")["skipped"] == 2
    assert results(work / "whole")["scaler_skips"] == 0
    assert "no finite number: 2;" in (work / "whole" / "report.md").read_text(encoding="utf-8")


def test_two_processes_agree_on_a_row_of_the_second(work: Path) -> None:
    bad = bad_update(0)
    whole = ("train.micro_batch_tokens=4096", *EVERY)
    stopped = train_by(2, work, *whole)
    assert stopped.returncode == 2, stopped.stderr
    assert stopped.stderr.count(f"the loss of {ROW} is no finite number") == 1, stopped.stderr
    assert f"update {bad} of 12" in stopped.stderr
    traced = [
        json.loads(line)
        for line in (work / "run" / "trace" / "process-1.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert any(RARE in part["examples"] for part in traced[bad - 1]["parts"]), "the row has to lie on process 1"
    on = train_by(2, work, *whole, "train.non_finite=skip", f"train.max_updates={bad + 1}")
    assert on.returncode == 0, on.stderr
    assert f"continues an unfinished run from update {bad - 1}" in on.stdout
    skipped = [record for record in metrics(work / "run") if "skipped" in record]
    assert [(record["update"], record["skipped"]["rows"]) for record in skipped] == [(bad, [ROW])]
    assert results(work / "run")["skipped"] == 1
    assert not any(tensor.isnan().any() for tensor in weights(work / "run").values())


# The parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("max_norm", [1.0, torch.inf])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_no_step_by_a_gradient_that_is_none(fused: bool, max_norm: float, value: float) -> None:
    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused)
    assert is_skipped_on_device(accelerator, optimizer) == fused

    def step(of_weight: float) -> float:
        model.weight.grad, model.bias.grad = torch.full((3, 4), 0.5), torch.ones(3)
        model.weight.grad[1, 2] = of_weight
        norm = clip_gradient(accelerator, model, optimizer, max_norm)
        take_step(accelerator, optimizer, norm)
        return float(norm)

    def state() -> list[torch.Tensor]:
        of_all = [tensor for p in model.parameters() for tensor in (p, *optimizer.state[p].values())]
        return [tensor.detach().clone() for tensor in of_all]

    step(0.5)
    before = state()
    assert not np.isfinite(step(value))
    assert all(map(torch.equal, before, state()))
    assert np.isfinite(step(0.5))
    assert not any(map(torch.equal, before, state())), "the next step is taken"


def test_infinite_loss_with_a_finite_gradient_is_seen_in_the_norm() -> None:
    accelerator = Accelerator(cpu=True)
    bias = torch.nn.Parameter(torch.zeros(2))

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=x + bias)

    logits = torch.tensor([[0.0, -torch.inf]])
    infinite = torch.nn.functional.cross_entropy(logits + bias, torch.tensor([1]))
    infinite.backward()
    assert infinite.isinf()
    assert bias.grad is not None
    assert bias.grad.isfinite().all(), "this test needs such a loss"
    loss = CrossEntropy(None, 0.0, torch.device("cpu"))
    for label, is_good in ((1, False), (0, True)):
        bias.grad = None
        batch = Batch({"x": logits}, torch.tensor([label]), torch.ones(1), (5,))
        t = SimpleNamespace(
            accelerator=accelerator,
            model=Model(),
            plan=SimpleNamespace(
                seed=0, examples=lambda _: np.array([5]), micro_batches=lambda *_: [MicroBatch((5,), 8)]
            ),
            train=SimpleNamespace(make=lambda *_, batch=batch: batch),
            objective=Supervised(loss, np.array([label] * 6)),
            trace=SimpleNamespace(micro_batch=lambda *_: None),
        )
        (part,) = accumulate_gradient(t, 0)
        assert part.examples == (5,)
        assert bool(part.losses.isfinite()) == is_good
        assert bias.grad is not None
        assert bool(bias.grad.isfinite().all()) == is_good


class FakeAccelerator(SimpleNamespace):
    """One process. With the fused AdamW, accelerate never says that a scaler has skipped a step."""

    def reduce(self, tensor: torch.Tensor, how: str) -> torch.Tensor:
        assert how == "sum"
        return tensor


def guarded(
    tmp_path: Path, policy: str, progress: Progress, scaler: bool = False, device: str = "cpu", main: bool = True
) -> tuple[NonFiniteGuard, FakeAccelerator, list[dict]]:
    """A guard of updates of eight examples each, its accelerator, and what is logged."""
    accelerator = FakeAccelerator(
        device=torch.device(device),
        scaler=object() if scaler else None,
        distributed_type=SimpleNamespace(value="NO"),
        optimizer_step_was_skipped=False,
        is_main_process=main,
        mixed_precision="fp16" if scaler else "no",
    )
    logged: list[dict] = []
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], fused=True)
    plan = SimpleNamespace(updates=100, updates_per_epoch=10, examples=lambda _: np.arange(8)[::-1])
    rows = tuple(f"a.csv:{i + 1}" for i in range(8))
    artifacts = SimpleNamespace(log=logged.append, folder=SimpleNamespace(checkpoints=tmp_path))
    saver, console = SimpleNamespace(wait=lambda: None), SimpleNamespace(note=lambda _: None)
    guard = NonFiniteGuard(policy, accelerator, optimizer, plan, rows, progress, artifacts, saver, console)
    return guard, accelerator, logged


def made(guard: NonFiniteGuard, progress: Progress, norm: float, losses: tuple[float, ...] = (1.0, 1.0)) -> bool:
    """Make an update of examples 3 and 6 and fillers here; whether it counts."""
    progress.update += 1
    values = torch.tensor([*losses, torch.nan])
    losses_here = MicroBatchLoss((3, 6), values, values[:2].sum())
    return guard.counts(progress.update - 1, [losses_here], 0.1, torch.tensor(norm))


def test_finite_losses_with_a_gradient_that_is_none_name_all_rows_of_the_update(tmp_path: Path) -> None:
    progress = Progress()
    guard, _, _ = guarded(tmp_path, "stop", progress)
    assert made(guard, progress, 1.0)
    with pytest.raises(UserError, match="each row's loss is finite, but the gradient is not") as said:
        made(guard, progress, torch.inf)
    assert "update 2 of 100" in str(said.value)
    assert "a.csv:1, a.csv:2, a.csv:3, a.csv:4, a.csv:5 and 3 more" in str(said.value)
    assert "there is no checkpoint yet" in str(said.value)
    guard, _, _ = guarded(tmp_path, "stop", progress, main=False)
    with pytest.raises(ToldElsewhere):
        made(guard, progress, torch.inf)


def test_too_many_skips_in_a_row_end_the_run(tmp_path: Path) -> None:
    progress = Progress()
    guard, _, logged = guarded(tmp_path, "skip", progress)
    for _ in range(non_finite.SKIPS_IN_A_ROW - 1):
        assert not made(guard, progress, torch.nan, (1.0, torch.inf))
    assert made(guard, progress, 1.0), "a good one between them"
    assert progress.steps == 1
    for _ in range(non_finite.SKIPS_IN_A_ROW - 1):
        assert not made(guard, progress, torch.nan, (1.0, torch.inf))
    with pytest.raises(UserError, match="10 updates in a row, up to update 20, have no finite loss"):
        made(guard, progress, torch.nan, (1.0, torch.inf))
    assert progress.skipped == len(logged) == 19
    assert logged[0]["skipped"] == {"rows": ["a.csv:7"], "cause": "loss", "loss": "inf", "grad_norm": "nan"}


def test_scaler_skips_are_counted_apart_and_only_many_in_a_row_are_an_error(tmp_path: Path) -> None:
    progress = Progress()
    guard, _, logged = guarded(tmp_path, "stop", progress, scaler=True)
    for _ in range(non_finite.SCALER_SKIPS_IN_A_ROW - 1):
        assert not made(guard, progress, torch.inf)
    assert (progress.scaler_skips, progress.skipped, progress.steps, logged) == (24, 0, 0, [])
    assert made(guard, progress, 1.0)
    assert (progress.skips_in_a_row, progress.steps) == (0, 1)
    with pytest.raises(UserError, match=r"update 26 of 100 has no finite loss(?s:.*)a.csv:4(?s:.*)bf16 in place"):
        made(guard, progress, torch.nan, (torch.nan, 1.0))
    for _ in range(non_finite.SCALER_SKIPS_IN_A_ROW - 2):
        made(guard, progress, torch.inf)
    with pytest.raises(UserError, match="the fp16 scaler has skipped 25 updates in a row"):
        made(guard, progress, torch.inf)


def test_where_looking_waits_it_is_put_off_but_not_past_what_is_saved(tmp_path: Path) -> None:
    progress = Progress()
    guard, accelerator, _ = guarded(tmp_path, "stop", progress, device="meta")
    accelerator.reduce = lambda tensor, _: torch.tensor([0.0] * 8 + [torch.nan])
    assert made(guard, progress, 1.0)
    guard.check_pending()
    assert made(guard, progress, torch.nan), "not looked at yet"
    assert made(guard, progress, 1.0)
    with pytest.raises(UserError, match="update 2 of 100"):
        guard.check_pending()
    progress = Progress()
    guard, accelerator, _ = guarded(tmp_path, "skip", progress, device="meta")
    accelerator.reduce = lambda tensor, _: torch.tensor([0.0] * 8 + [torch.nan])
    assert not made(guard, progress, torch.nan), "the next rate depends on it"


def test_skip_is_refused_where_deepspeed_steps_by_itself(tmp_path: Path) -> None:
    _, accelerator, _ = guarded(tmp_path, "stop", Progress())
    accelerator.distributed_type = "DEEPSPEED"
    with pytest.raises(UserError, match=r"train\.non_finite: found skip; expected stop under DeepSpeed"):
        NonFiniteGuard("skip", accelerator, None, None, (), Progress(), None, None, None)
