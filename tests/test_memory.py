"""`train.micro_batch_tokens: auto`: what fits is found, agreed on, remembered, and lowered when it no longer fits."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from conftest import ROOT, cli, command, train, write_recipe, write_reviews
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, BertConfig, DebertaV2Config, ModernBertConfig

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.batching.plan import Plan
from accel_cls.checkpoints.checkpoint import Progress
from accel_cls.data.corpus import load_corpus
from accel_cls.errors import UserError
from accel_cls.memory import errors
from accel_cls.memory import search as searching
from accel_cls.memory.activations import activation_bytes, saved_tensor_bytes
from accel_cls.memory.available import DeviceMemory, cgroup_limits
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.estimate import should_fit
from accel_cls.memory.forecast import TrainingMemory, format_bytes, training_memory, weight_bytes
from accel_cls.memory.remembered import cache_file, remember, remembered_tokens, search_key
from accel_cls.memory.search import Search, find_micro_batch_tokens, needed_memory
from accel_cls.memory.setup import ParallelSetup
from accel_cls.memory.sizes import MicroBatchSizes, largest_that_fits
from accel_cls.models.classifier import outline_model
from accel_cls.models.packing import make_packable
from accel_cls.recipe import load_recipe
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.out_of_memory import OutOfMemory, read_out_of_memory
from accel_cls.tasks import task_of
from accel_cls.tokenization.encode import Encoded
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.training.out_of_memory import explain_out_of_memory

# Trains with a second process whose memory ends at LIMIT tokens; LATER=24:130 says at 130 after 24 passes.
STARVED = """
import os, sys
import torch
from transformers import BertForSequenceClassification
from accel_cls.memory import search as searching
from accel_cls.train import main

searching._AMPLE = 0  # try also what is beyond doubt

whole, passes = BertForSequenceClassification.forward, 0
LIMIT, LATER = int(os.environ["LIMIT"]), os.environ.get("LATER", "9999:0").split(":")
ERROR = os.environ.get("ERROR")

def forward(self, input_ids=None, **others):
    global passes
    if input_ids.device.type != "meta" and torch.is_grad_enabled():
        passes += 1
        if input_ids.numel() > (LIMIT if passes <= int(LATER[0]) else int(LATER[1])):
            raise RuntimeError(ERROR) if ERROR else torch.OutOfMemoryError("CUDA out of memory. Tried 2.00 GiB.")
    return whole(self, input_ids=input_ids, **others)

if os.environ.get("RANK") == "1":
    BertForSequenceClassification.forward = forward
if __name__ == "__main__":
    sys.exit(main())
"""
AUTO = "train.micro_batch_tokens=auto"


def starved(work: Path, *overrides: str, **env: str):
    """Train on two processes, the second of which is short of memory."""
    (work / "starved.py").write_text(STARVED, encoding="utf-8")
    shutil.copy(ROOT / "accelerate_configs" / "cpu_multi.yaml", work)
    launch = (
        "accelerate",
        "launch",
        "--config_file",
        "cpu_multi.yaml",
        "starved.py",
        "recipe.yaml",
        AUTO,
        "train.packing=false",
    )
    cache = {"XDG_CACHE_HOME": str(work / "cache")}
    # Padded micro-batches, since it is by their size that the second process fails.
    return command(*launch, "train.packing=false", *overrides, cwd=work, env=cache | env)


def recorded(run: Path) -> int:
    return yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))["train"]["micro_batch_tokens"]


def remembered(work: Path) -> list[int]:
    entries = json.loads((work / "cache" / "accel_cls" / "micro_batches.json").read_text(encoding="utf-8"))
    return [entry["tokens"] for entry in entries.values()]


# Two processes, one of which is short of memory ---------------------------------------------------------


def test_what_fits_on_both_is_found_lowered_when_it_no_longer_fits_and_remembered(work: Path) -> None:
    # 32 examples of at most 32 tokens on two processes: 512 tokens are of use, and 192 the most of those that fit.
    began = time.monotonic()
    short = starved(work, LIMIT="200", LATER="24:130")
    assert time.monotonic() - began < 60  # and not until a collective operation's time is over
    found = "train.micro_batch_tokens: auto → 192, the most that fits on the CPU (tried now: 4 sizes in"
    assert found in short.stdout, short.stderr
    assert "of at most 192 padded tokens" in short.stdout
    assert recorded(work / "run") == 192
    assert short.returncode != 0
    assert "[process 1] out of memory in update 8 of 12; the largest micro-batch of it here: 6 × 32" in short.stderr
    assert "error   CUDA out of memory. Tried 2.00 GiB." in short.stderr
    assert "is 192; the same command goes on from the newest checkpoint with 128" in short.stderr
    assert "[rank" not in short.stderr, "a traceback of ours"

    went_on = starved(work, LIMIT="130")
    assert went_on.returncode == 0, went_on.stderr
    said = "ran out of memory in update 8 with train.micro_batch_tokens 192; it goes on with 128: from here on updates"
    assert said in went_on.stdout
    assert "continues an unfinished run from update 6" in went_on.stdout
    assert recorded(work / "run") == 128
    assert not (work / "run" / "out_of_memory.json").exists()

    again = starved(work, "--fresh", "train.max_updates=1", LIMIT="130")
    assert again.returncode == 0, again.stderr
    assert f"auto → 128, the most that fits on the CPU (remembered in {work / 'cache'}" in again.stdout


def test_another_error_of_one_process_while_trying_ends_both(work: Path) -> None:
    began = time.monotonic()
    failed = starved(work, LIMIT="200", ERROR="a kernel is missing")
    assert time.monotonic() - began < 60
    assert failed.returncode != 0
    assert "RuntimeError: a kernel is missing" in failed.stderr
    assert not list((work / "run").glob("checkpoints/*"))


# One process -------------------------------------------------------------------------------------------


def test_auto_trains_like_its_number_and_the_plan_knows_it(work: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CACHE_HOME", str(work / "cache"))
    before = json.loads(cli(capsys, "plan", "recipe.yaml", AUTO, "--json")[1])
    assert before["micro_batch_tokens"] == 1024
    assert before["micro_batch_tokens_from"].startswith("by arithmetic for the CPU of this machine")
    auto = train(work, AUTO, "train.max_updates=2")
    assert "auto → 1,024, a whole update at once; more is of no use (by arithmetic now)" in auto.stdout, auto.stderr
    number = train(work, "train.micro_batch_tokens=1024", "train.max_updates=2", "output=number")
    assert number.returncode == 0, number.stderr
    keys = ("loss", "grad_norm", "evaluation")
    curves = [
        [{key: json.loads(line).get(key) for key in keys} for line in (work / run / "metrics.jsonl").open()]
        for run in ("run", "number")
    ]
    assert curves[0] == curves[1]  # with dropout on: nothing of the search is left behind
    after = cli(capsys, "plan", "recipe.yaml", AUTO)[1]
    assert "train.micro_batch_tokens: auto → 1,024, remembered from an earlier run" in after


LIMITED = """
import dataclasses, resource, sys
import psutil, torch
from accel_cls.training import build
from accel_cls.memory import search as searching, setup
from accel_cls.train import main

assert searching._AMPLE == 0.5 and setup.USABLE_FRACTION == 0.8
torch.backends.mkldnn.enabled = False  # oneDNN, once refused memory for a kernel, has none for the rest of the process
searching._AMPLE, setup.USABLE_FRACTION = 0, 99  # the forecast allows everything: the allocator has to say what fits
find = build.find_micro_batch_tokens

def find_within_limits(search, notes):
    limit = psutil.Process().memory_info().vms + 100_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, -1))
    try:
        return find(dataclasses.replace(search, available=search.setup.available()), notes)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))

build.find_micro_batch_tokens = find_within_limits
sys.exit(main())
"""


def test_a_real_limit_is_found(work: Path) -> None:
    (work / "limited.py").write_text(LIMITED)
    sizes = ["data.max_length=64", "model.scratch={layers: 12, hidden: 32, heads: 2}", "train.batch_size=192"]
    env = {"XDG_CACHE_HOME": str(work / "cache")}
    done = command("python", "limited.py", "recipe.yaml", AUTO, *sizes, "train.max_updates=1", cwd=work, env=env)
    assert done.returncode == 0, done.stderr
    assert "the most that fits on the CPU (tried now: " in done.stdout
    assert 64 < recorded(work / "run") < 192 * 64


# Trying a size ------------------------------------------------------------------------------------------

TINY = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


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
    batches = Batches(encoded, np.zeros(20, np.int64), 0, torch.device("cpu"), None)
    return Search.of(accelerator, MicroBatchSizes(32, 64, 12), model, lambda: on_meta(BertConfig(**TINY)), batches)


def on_meta(config):
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config)


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


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Attempting to allocate 1.2G"), True),
        (MemoryError(), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory."), False),
    ],
)
def test_out_of_memory_is_recognized(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory


@pytest.mark.parametrize(("free", "is_memory"), [(10 * 2**20, True), (2**30, False)])
def test_kernel_that_can_not_be_made_is_for_want_of_memory_where_little_is_free(monkeypatch, free, is_memory) -> None:
    monkeypatch.setattr(errors, "available_memory", lambda *_: DeviceMemory("the CPU", 2**34, free))
    assert is_out_of_memory(RuntimeError("could not create a primitive")) is is_memory


# Telling the user, and the next start --------------------------------------------------------------------


@pytest.fixture
def explain(tmp_path: Path, monkeypatch):
    """Run out of memory in a training of 64 texts of 32 tokens, 32 an update, and tell what the user is told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()

    def explained(tokens: int, processes: int = 1, precision: str = "no", strategy: str = "NO", **options) -> str:
        write_recipe(tmp_path)
        recipe = load_recipe(tmp_path / "recipe.yaml", [f"train.micro_batch_tokens={tokens}"])
        accelerator = SimpleNamespace(
            device=torch.device("cpu"),
            distributed_type=SimpleNamespace(value=strategy),
            num_processes=processes,
            process_index=0,
            mixed_precision=precision,
        )
        lengths = np.full(64, 32)
        default = {"is_training": True, "key": None, "sizes": MicroBatchSizes.of(recipe, lengths), "max_length": 32}
        told = explain_out_of_memory(
            torch.OutOfMemoryError("CUDA out of memory."),
            plan=Plan.of(recipe, lengths),
            progress=Progress(update=1),
            accelerator=accelerator,
            folder=RunFolder(tmp_path / "run"),
            **(default | options),
        )
        assert isinstance(told, UserError)
        return str(told)

    return explained


def noted(tmp_path: Path) -> OutOfMemory | None:
    return read_out_of_memory(RunFolder(tmp_path / "run"))


def test_after_running_out_of_memory_the_next_start_cuts_finer(explain, tmp_path: Path) -> None:
    told = explain(tokens=512)
    assert "out of memory in update 2 of 4; the largest micro-batch of it here: 16 × 32 tokens" in told
    assert "With train.micro_batch_tokens=384, or train.micro_batch_tokens=auto, the same command goes on" in told
    assert noted(tmp_path) == OutOfMemory("in update 2", 512, 384)
    assert "the same command goes on from the newest checkpoint with 384" in explain(tokens=512, key="k")
    assert remembered_tokens("k", []) == 384


def test_a_smaller_size_is_smaller_than_what_a_process_had(explain, tmp_path: Path) -> None:
    # Of an update of 32 × 32 = 1,024 tokens each of 4 processes has 256, whatever the recipe allows.
    assert "the largest micro-batch of it here: 8 × 32 tokens" in explain(tokens=4096, processes=4)
    assert noted(tmp_path) == OutOfMemory("in update 2", 4096, 192)
    explain(tokens=4096, processes=4, is_training=False)  # where a micro-batch may have them all
    assert noted(tmp_path) == OutOfMemory("in the evaluation after update 1", 4096, 1024)


def test_what_keeps_the_next_start_from_knowing_is_told(explain, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "note    what fits can't be remembered for the next run: " in explain(tokens=512, key="k")
    assert noted(tmp_path) is not None
    shutil.rmtree(tmp_path / "run")
    told = explain(tokens=512)
    assert "note    the next start can't be told of it: [Errno 2] No such file or directory" in told
    assert told.endswith("Start over with train.micro_batch_tokens=384 --fresh")


def test_only_what_is_not_there_yet_is_advised(explain) -> None:
    plain = explain(tokens=32)
    assert "no smaller micro-batch is possible. Try a smaller data.max_length (now 32), a smaller model" in plain
    assert "mixed_precision: bf16" in plain
    assert "hardware=fsdp" in plain
    assert "bf16" not in explain(tokens=32, precision="bf16")
    assert "hardware=fsdp" not in explain(tokens=32, processes=2, strategy="FSDP")


def test_other_errors_are_not_explained(tmp_path: Path) -> None:
    names = ("plan", "progress", "accelerator", "folder", "is_training", "max_length", "sizes", "key")
    assert explain_out_of_memory(RuntimeError("mat1 and mat2"), **dict.fromkeys(names)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[]", b'{"tokens": 1}', b'{"where": "in update 1", "tokens": "x", "smaller": null}']
)
def test_damaged_note_is_told(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder(tmp_path)
    assert read_out_of_memory(folder) is None
    folder.out_of_memory.write_bytes(content)
    with pytest.raises(UserError, match=r"out_of_memory\.json is damaged .* Delete it"):
        read_out_of_memory(folder)


# Sizes and arithmetic -----------------------------------------------------------------------------------


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


def setup_of(strategy: str, processes: int = 1, precision: str = "no") -> ParallelSetup:
    return ParallelSetup(torch.device("cpu"), strategy, processes, processes, precision)


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


def test_key_follows_from_all_that_decides() -> None:
    setup, available, sizes = setup_of("DDP", 2), DeviceMemory("GPU", 10, 5), MicroBatchSizes(64, 64, 8)
    config = BertConfig(**TINY)

    def key(setup=setup, available=available, sizes=sizes, config=config, packable=False):
        model = on_meta(copy.deepcopy(config))  # which make_packable changes
        if packable:
            make_packable(model)
        return search_key(setup, available, sizes, model)

    same = BertConfig(**TINY, id2label={0: "a", 1: "b"})
    assert key() == key(available=dataclasses.replace(available, free=1)) == key(config=same)
    others = [
        key(setup=dataclasses.replace(setup, processes=3)),
        key(setup=dataclasses.replace(setup, local_processes=1)),
        key(setup=dataclasses.replace(setup, mixed_precision="bf16")),
        key(setup=dataclasses.replace(setup, strategy="FSDP")),
        key(available=dataclasses.replace(available, total=11)),
        key(available=dataclasses.replace(available, device_name="other")),
        key(sizes=MicroBatchSizes(80, 80, 8)),
        key(sizes=MicroBatchSizes(64, 80, 8)),
        key(sizes=MicroBatchSizes(64, 64, 9)),
        key(sizes=MicroBatchSizes(64, 64, 8, min_micro_batches=2)),
        key(config=BertConfig(**TINY, num_labels=3)),
        key(config=BertConfig(**(TINY | {"num_hidden_layers": 2}))),
        key(packable=True),
    ]
    assert len({key(), *others}) == 1 + len(others)


# What is remembered -------------------------------------------------------------------------------------


def test_newest_entries_are_kept_whole(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    notes: list[str] = []
    assert remembered_tokens("0", notes) is None
    for number in range(310):
        remember(str(number), number, "tried", "GPU", notes)
    assert [remembered_tokens(key, notes) for key in ("0", "9", "10", "309")] == [None, None, 10, 309]
    assert [path.name for path in (tmp_path / "accel_cls").iterdir()] == ["micro_batches.json"]
    assert notes == []


DAMAGED = [b"{", b"[]", b"\xff\xfe", b""]
WRONG = [b'{"k": 3}', b'{"k": {"tokens": "7"}}', b'{"k": {"tokens": 9e99}}', b'{"k": {"tokens": -1}}']


@pytest.mark.parametrize("content", [*DAMAGED, *WRONG])
def test_damaged_file_is_told_and_replaced(tmp_path: Path, monkeypatch, content: bytes) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_file().parent.mkdir()
    cache_file().write_bytes(content)
    notes: list[str] = []
    assert remembered_tokens("k", notes) is None
    assert len(notes) == (1 if content in DAMAGED else 0)
    assert all("is damaged and will be replaced" in note for note in notes)
    remember("k", 5, "tried", "GPU", notes)
    assert remembered_tokens("k", []) == 5


def test_folder_that_takes_no_file_is_told(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    notes: list[str] = []
    assert remembered_tokens("k", notes) is None
    remember("k", 5, "tried", "GPU", notes)
    assert [note.split(":")[0] for note in notes] == [
        "what earlier runs found to fit can't be read",
        "what fits can't be remembered for the next run",
    ]


# Limits of containers -----------------------------------------------------------------------------------


def test_limits_of_control_groups(tmp_path: Path) -> None:
    two = tmp_path / "v2" / "a" / "b"
    two.mkdir(parents=True)
    (two / "memory.max").write_text("max\n")
    for name, text in (("max", "1000"), ("current", "700"), ("stat", "anon 1\ninactive_file 200\n")):
        (two.parent / f"memory.{name}").write_text(text)
    (tmp_path / "two").write_text("0::/a/b\n")
    assert list(cgroup_limits(tmp_path / "two", tmp_path / "v2")) == [(1000, 500)]

    one = tmp_path / "v1" / "memory"  # the path is the host's, as in a container
    one.mkdir(parents=True)
    for name, text in (("limit_in_bytes", "900"), ("usage_in_bytes", "300"), ("stat", "total_inactive_file 50\n")):
        (one / f"memory.{name}").write_text(text)
    (tmp_path / "one").write_text("9:name=systemd:/\n4:cpu,memory:/docker/x\n")
    assert list(cgroup_limits(tmp_path / "one", tmp_path / "v1")) == [(900, 250)]
    (one / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert list(cgroup_limits(tmp_path / "one", tmp_path / "v1")) == []
    assert list(cgroup_limits(tmp_path / "nowhere", tmp_path)) == []
