"""The search for the largest micro-batch that fits: which sizes it tries, which it reckons, and how."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from conftest import cli, write_recipe, write_reviews
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_setups import TINY, on_meta, setup_of
from transformers import AutoModelForSequenceClassification, BertConfig, DebertaV2Config, ModernBertConfig

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.memory import search as searching
from accel_cls.memory.activations import activation_bytes, saved_tensor_bytes
from accel_cls.memory.available import DeviceMemory
from accel_cls.memory.estimate import should_fit
from accel_cls.memory.forecast import TrainingMemory, format_bytes, training_memory, weight_bytes
from accel_cls.memory.remembered import cache_file
from accel_cls.memory.search import Search, find_micro_batch_tokens, needed_memory
from accel_cls.memory.setup import ParallelSetup
from accel_cls.memory.sizes import MicroBatchSizes, largest_that_fits
from accel_cls.models.capabilities.padding import Padding
from accel_cls.models.classifier import outline_model
from accel_cls.recipe import load_recipe
from accel_cls.tasks import task_of
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def accelerator():
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def search(accelerator, tmp_path, monkeypatch) -> Search:
    """A search over 20 texts, the longest of 30 tokens, with updates of 12."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(searching, "_AMPLE", 0)  # try also what is beyond doubt
    model = AutoModelForSequenceClassification.from_config(BertConfig(**TINY)).eval()
    lengths = np.arange(11, 31)
    encoded = Encoded(np.full(lengths.sum(), 7, np.int32), None, np.concatenate([[0], np.cumsum(lengths)]), 0)
    batches = Batches(encoded, np.zeros(20, np.int64), Padding(0), torch.device("cpu"), None)
    return Search.of(accelerator, MicroBatchSizes(32, 64, 12), model, lambda: on_meta(BertConfig(**TINY)), batches)


def scarce(model: torch.nn.Module, tokens: int, error: Exception):
    """Let a model's memory end at so many tokens; the shapes that it then sees are in the list that is returned."""
    whole, shapes = model.forward, []

    def forward(input_ids, **others):
        shapes.append(tuple(input_ids.shape))
        if input_ids.numel() > tokens:
            raise error
        return whole(input_ids=input_ids, **others)

    model.forward = forward
    return shapes


# Trying a size ----------------------------------------------------------------------------------------


def test_trying_leaves_the_model_as_it_was(search: Search) -> None:
    before = {name: tensor.clone() for name, tensor in search.model.state_dict().items()}
    notes: list[str] = []
    assert find_micro_batch_tokens(search, notes) == 12 * 32
    assert len(notes) == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in search.model.state_dict().items())
    assert all(parameter.grad is None for parameter in search.model.parameters())
    assert not search.model.training


def test_largest_that_fits_is_found_in_few_tries_and_then_remembered(search: Search) -> None:
    shapes = scarce(search.model, 200, torch.OutOfMemoryError("XPU out of memory. Tried"))
    notes: list[str] = []
    assert find_micro_batch_tokens(search, notes) == 192
    assert shapes == [(12, 32), (4, 32), (6, 32), (8, 32)]
    assert find_micro_batch_tokens(search, notes) == 192
    assert len(shapes) == 4
    assert str(cache_file()) in notes[1]
    other = dataclasses.replace(search, sizes=MicroBatchSizes(32, 64, 24))
    find_micro_batch_tokens(other, notes)
    assert len(shapes) > 4, "other updates are another question"


def test_no_size_that_fits_is_explained(search: Search) -> None:
    scarce(search.model, 0, MemoryError("std::bad_alloc"))
    with pytest.raises(UserError) as caught:
        find_micro_batch_tokens(search, [])
    said = str(caught.value)
    assert "not even the smallest micro-batch fits, 2 × 32 tokens: the CPU has " in said
    assert "needed are weights " in said
    assert "activations" in said
    assert "(a micro-batch of 2 × 32 tokens)" in said
    assert f" = {format_bytes(needed_memory(search)(64).total)}.\n" in said
    assert "Try a smaller data.max_length (now 64), a smaller model, a hardware profile with mixed_precision" in said
    assert not cache_file().exists()


def test_other_errors_are_not_taken_for_want_of_memory(search: Search) -> None:
    scarce(search.model, 0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        find_micro_batch_tokens(search, [])


def test_on_a_cpu_nothing_is_tried_that_arithmetic_rules_out(search: Search) -> None:
    shapes = scarce(search.model, 10**9, MemoryError())
    needed = needed_memory(search)(6 * 32)
    free = int(needed.total / 0.8) - needed.weights + 1  # the weights are there already
    known = dataclasses.replace(search, available=DeviceMemory("the CPU", 2 * free, free))
    assert find_micro_batch_tokens(known, []) == 6 * 32
    assert max(shapes) == (6, 32)


def test_on_a_cpu_what_is_beyond_doubt_is_not_tried(search: Search, monkeypatch) -> None:
    monkeypatch.setattr(searching, "_AMPLE", 0.5)
    shapes = scarce(search.model, 0, MemoryError())
    assert find_micro_batch_tokens(search, []) == 12 * 32
    assert shapes == []


def test_divided_models_are_reckoned_and_not_tried(search: Search) -> None:
    shapes = scarce(search.model, 10**9, MemoryError())
    setup = ParallelSetup(torch.device("cpu"), "FSDP", 2, 2, "bf16")
    notes: list[str] = []
    assert (
        find_micro_batch_tokens(dataclasses.replace(search, setup=setup), notes) == 6 * 32
    )  # each process's half of an update
    assert "a process's whole share of an update at once; more is of no use (by arithmetic now)" in notes[0]
    assert shapes == []


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_family_that_meta_cannot_tell_is_measured_on_three_rows_at_most(search: Search, precision: str) -> None:
    config = DebertaV2Config(**TINY, relative_attention=True)
    model = AutoModelForSequenceClassification.from_config(config)
    setup = dataclasses.replace(search.setup, mixed_precision=precision)
    odd = dataclasses.replace(search, setup=setup, model=model, outline=lambda: on_meta(config))
    shapes = scarce(model, 10**9, MemoryError())
    needed = needed_memory(odd)
    found = {rows: needed(rows * 32).activations for rows in (2, 4, 6, 8, 12)}
    assert sorted(shapes) == [(2, 32), (3, 32)]
    longest = int(search.batches.encoded.lengths.argmax())
    for rows, activations in found.items():
        inputs = search.batches.make(MicroBatch((longest,) * rows, 32)).inputs
        assert activations == saved_tensor_bytes(model, inputs)


def test_family_whose_single_row_is_saved_otherwise_is_not_reckoned_from_it(search: Search) -> None:
    config = ModernBertConfig(**TINY, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
    needed = needed_memory(dataclasses.replace(search, outline=lambda: on_meta(config)))
    assert needed(12 * 32).activations == activation_bytes(on_meta(config), 12, 32)


# Sizes ------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 600), st.integers(0, 100), st.integers(1, 5000), st.integers(1, 64))
def test_sizes_are_whole_rows_up_to_a_share_of_an_update(widest: int, more: int, rows: int, processes: int) -> None:
    sizes = MicroBatchSizes(widest, widest + more, rows)
    found = sizes.candidates(processes)
    assert found == sorted(set(found))
    assert found[0] >= sizes.max_length
    assert found[-1] == max(sizes.max_length, -(-rows // processes) * widest)
    assert all(size % widest == 0 or size == sizes.max_length for size in found)
    assert all(larger <= 2 * max(size, sizes.max_length) for size, larger in itertools.pairwise(found))
    assert len(found) <= 2 * rows.bit_length() + 1
    assert sizes.next_smaller(found[0]) is None or processes > 1
    assert all(sizes.next_smaller(larger) >= size for size, larger in itertools.pairwise(found))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 40), st.integers(0, 40))
def test_search_finds_the_border(count: int, fitting: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size < fitting

    assert largest_that_fits(range(count), fits) == (min(count, fitting) - 1 if fitting else None)
    assert len(tried) == len(set(tried)) <= 1 + count.bit_length()


# Arithmetic -------------------------------------------------------------------------------------------

# Parts of the whole weights' size W: weights, gradients, AdamW, communication, autocast's copies; L is FSDP's largest
# layer, or the embeddings.
PARTS = {
    ("DDP", 1, "no"): ("W", "W", "2*W", "0", "0"),
    ("DDP", 1, "bf16"): ("W", "W", "2*W", "0", "W//2"),
    ("DDP", 4, "no"): ("W", "W", "2*W", "W", "0"),
    ("DDP", 4, "bf16"): ("W", "W", "2*W", "W", "W//2"),
    ("FSDP", 4, "no"): ("W//4", "W//4", "2*W//4", "3*L", "0"),
    ("FSDP", 4, "bf16"): ("W//4", "W//4", "2*W//4", "3*L", "0"),
    ("DEEPSPEED", 4, "no"): ("W+W//4", "W//4", "2*W//4", "W", "0"),
    ("DEEPSPEED", 4, "bf16"): ("W//2+W//4", "W//4", "2*W//4", "W", "0"),
    ("XLA", 8, "bf16"): ("W", "W", "2*W", "W", "W//2"),
}


@pytest.mark.parametrize("strategy", PARTS, ids=str)
def test_parts_of_the_memory_are_those_of_the_strategy(strategy: tuple[str, int, str]) -> None:
    model = AutoModelForSequenceClassification.from_config(BertConfig(**TINY))
    sizes = {"W": weight_bytes(model), "L": max(weight_bytes(model.bert.encoder.layer[0]), 50 * 16 * 4)}
    memory = training_memory(model, setup_of(*strategy), (6, 32), 1000)
    parts = [memory.weights, memory.gradients, memory.optimizer, memory.communication, memory.autocast_copies]
    assert parts == [eval(part, sizes) for part in PARTS[strategy]]
    assert memory.total == sum(parts) + 1000 + 250


@pytest.mark.parametrize("strategy", PARTS, ids=str)
def test_plan_tells_the_memory_by_which_auto_decides(
    search: Search, tmp_path: Path, monkeypatch, capsys, strategy: tuple[str, int, str]
) -> None:
    write_reviews(tmp_path / "reviews.csv")
    write_recipe(tmp_path)
    monkeypatch.chdir(tmp_path)
    kind, processes, precision = strategy
    profile = {
        "distributed_type": kind if kind != "DDP" else "NO" if processes == 1 else "MULTI_GPU",
        "num_processes": processes,
        "mixed_precision": precision,
        "use_cpu": kind != "XLA",
    }
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(profile))
    plan = json.loads(cli(capsys, "plan", "recipe.yaml", "hardware=profile.yaml", "--json")[1])["memory_bytes"]
    rows, width = plan["shape"]
    recipe = load_recipe(Path("recipe.yaml"), ["hardware=profile.yaml"])
    task = task_of(recipe)
    corpus = load_corpus(recipe, task)
    tokenizer = load_tokenizer(recipe, corpus.train)
    auto = dataclasses.replace(
        search,
        setup=setup_of(*strategy),
        sizes=MicroBatchSizes(width, width, rows),
        outline=lambda: outline_model(recipe, tokenizer, corpus.classes, task.problem_type),
    )
    needed = needed_memory(auto)(rows * width)
    assert needed.shape == (rows, width)
    assert plan == json.loads(json.dumps(needed.as_json()))
    parts = ("weights", "gradients", "optimizer", "communication", "autocast_copies", "activations", "backward")
    assert plan["total"] == sum(plan[part] for part in parts)
    # And by this number it decides: at just enough it fits, with a byte less it does not.
    usable = 0.8 if kind == "DDP" else 0.7
    enough = next(free for free in itertools.count(int(needed.total / usable)) if usable * free >= needed.total)
    for free, fits in ((enough, True), (enough - 1, False)):
        assert should_fit(auto.setup, DeviceMemory("the CPU", 10**12, free), needed, auto.sizes) is fits


def test_device_that_does_not_tell_its_memory_gets_a_usual_size() -> None:
    def fits(size: int) -> bool:
        needed = TrainingMemory(1, 1, 1, 1, 1, 1, sizes.worst_shape(size))
        return should_fit(setup_of("XLA", 4, "bf16"), DeviceMemory("TPU", None, None), needed, sizes)

    sizes = MicroBatchSizes(128, 128, 1000)
    assert [size for size in (2048, 4096, 8192) if fits(size)] == [2048, 4096]
