"""`train.micro_batch_tokens: auto`: what fits is found, agreed on, remembered, and lowered when it no longer fits."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from conftest import ROOT, cli, command, train
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, BertConfig, DebertaV2Config

from accel_cls.batching.batches import Batches
from accel_cls.errors import UserError
from accel_cls.memory import search as searching
from accel_cls.memory.arithmetic import Need, Place, Sizes, fits_by_arithmetic, key_of, need_of
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.remembered import cache_file, recall, remember
from accel_cls.memory.room import Room, limits_of_groups
from accel_cls.memory.search import Search, find_fitting, largest
from accel_cls.tokenization.encode import Encoded

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
import psutil
from accel_cls.training import run
from accel_cls.memory import arithmetic
from accel_cls.train import main

arithmetic._USABLE = 99  # arithmetic allows everything: what fits is for the allocator to say
find = run.find_fitting

def find_within_limits(search, notes):
    limit = psutil.Process().memory_info().vms + 100_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, -1))
    try:
        return find(dataclasses.replace(search, room=search.place.room), notes)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))

run.find_fitting = find_within_limits
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
    return Search.of(accelerator, Sizes(32, 64, 12), model, lambda: on_meta(BertConfig(**TINY)), batches)


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
    assert find_fitting(search, notes) == 12 * 32
    assert len(notes) == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in search.model.state_dict().items())
    assert all(parameter.grad is None for parameter in search.model.parameters())
    assert not search.model.training


def test_largest_that_fits_is_found_in_few_tries_and_then_remembered(search: Search) -> None:
    shapes = scarce(search.model, 200, torch.OutOfMemoryError("XPU out of memory. Tried"))
    notes: list[str] = []
    assert find_fitting(search, notes) == 192
    assert shapes == [(12, 32), (4, 32), (6, 32), (8, 32)]
    assert find_fitting(search, notes) == 192
    assert len(shapes) == 4
    assert str(cache_file()) in notes[1]
    other = dataclasses.replace(search, sizes=Sizes(32, 64, 24))
    find_fitting(other, notes)
    assert len(shapes) > 4, "other updates are another question"


def test_no_size_that_fits_is_explained(search: Search) -> None:
    scarce(search.model, 0, MemoryError("std::bad_alloc"))
    with pytest.raises(UserError) as caught:
        find_fitting(search, [])
    said = str(caught.value)
    assert "not even the smallest micro-batch fits, 2 × 32 tokens: the CPU has " in said
    assert "needed are weights " in said
    assert "Try a smaller data.max_length (now 64), a smaller model, a hardware profile with mixed_precision" in said
    assert not cache_file().exists()


def test_other_errors_are_not_taken_for_want_of_memory(search: Search) -> None:
    scarce(search.model, 0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        find_fitting(search, [])


def test_on_a_cpu_nothing_is_tried_that_arithmetic_rules_out(search: Search) -> None:
    shapes = scarce(search.model, 10**9, MemoryError())
    need = need_of(search.place, search.outline(), 32)
    free = int(need.of(6) / 0.8) - need.weights + 1  # the weights are there already
    assert find_fitting(dataclasses.replace(search, room=Room("the CPU", 2 * free, free)), []) == 6 * 32
    assert max(shapes) == (6, 32)


def test_on_a_cpu_what_is_beyond_doubt_is_not_tried(search: Search, monkeypatch) -> None:
    monkeypatch.setattr(searching, "_AMPLE", 0.5)
    shapes = scarce(search.model, 0, MemoryError())
    assert find_fitting(search, []) == 12 * 32
    assert shapes == []


def test_divided_models_are_reckoned_and_not_tried(search: Search) -> None:
    shapes = scarce(search.model, 10**9, MemoryError())
    place = Place(torch.device("cpu"), "FSDP", 2, 2, "bf16")
    notes: list[str] = []
    assert find_fitting(dataclasses.replace(search, place=place), notes) == 6 * 32  # each process's half of an update
    assert "a process's whole share of an update at once; more is of no use (by arithmetic now)" in notes[0]
    assert shapes == []


def test_family_that_meta_cannot_tell_is_measured_on_one_row_and_two(search: Search) -> None:
    config = DebertaV2Config(**TINY, relative_attention=True)
    model = AutoModelForSequenceClassification.from_config(config)
    odd = dataclasses.replace(search, model=model, outline=lambda: on_meta(config))
    need = searching._known(odd, need_of(odd.place, odd.outline(), 32))
    assert need.row is not None
    assert need.row >= need.further_row > 32 * 16 * 4


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


# Sizes and arithmetic -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 600), st.integers(0, 100), st.integers(1, 5000), st.integers(1, 64))
def test_sizes_are_whole_rows_up_to_a_share_of_an_update(widest: int, more: int, rows: int, processes: int) -> None:
    sizes = Sizes(widest, widest + more, rows)
    found = sizes.smallest_first(processes)
    assert found == sorted(set(found))
    assert found[0] >= sizes.longest
    assert found[-1] == max(sizes.longest, -(-rows // processes) * widest)
    assert all(size % widest == 0 or size == sizes.longest for size in found)
    assert all(larger <= 2 * max(size, sizes.longest) for size, larger in itertools.pairwise(found))
    assert len(found) <= 2 * rows.bit_length() + 1
    assert sizes.below(found[0]) is None or processes > 1
    assert all(sizes.below(larger) >= size for size, larger in itertools.pairwise(found))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 40), st.integers(0, 40))
def test_search_finds_the_border(count: int, fitting: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size < fitting

    assert largest(range(count), fits) == (min(count, fitting) - 1 if fitting else None)
    assert len(tried) == len(set(tried)) <= 1 + count.bit_length()


def test_need_is_divided_as_the_weights_are_and_grows_with_rows() -> None:
    outline, cpu = on_meta(BertConfig(**TINY)), torch.device("cpu")
    whole, two, sharded = (
        need_of(Place(cpu, kind, processes, 1, "no"), outline, 32)
        for kind, processes in (("", 1), ("", 2), ("FSDP", 2))
    )
    assert whole.lasting == 3 * whole.weights
    assert two.lasting == 4 * whole.weights
    assert sharded.weights == whole.weights // 2
    assert whole.of(5) - whole.of(4) >= whole.further_row > 0
    assert need_of(Place(cpu, "", 1, 1, "bf16"), outline, 32).lasting == 3.5 * whole.weights


def test_device_that_does_not_tell_its_memory_gets_a_usual_size() -> None:
    place, need = Place(torch.device("xla"), "XLA", 4, 4, "bf16"), Need(1, 1, 1, 1)
    room, sizes = Room("TPU", None, None), Sizes(128, 128, 1000)
    assert [size for size in (2048, 4096, 8192) if fits_by_arithmetic(place, room, need, sizes, size)] == [2048, 4096]


def test_key_follows_from_all_that_decides() -> None:
    place, room, sizes = Place(torch.device("cpu"), "", 2, 2, "no"), Room("GPU", 10, 5), Sizes(64, 64, 8)
    config = BertConfig(**TINY)

    def key(place=place, room=room, sizes=sizes, config=config):
        return key_of(place, room, sizes, on_meta(config))

    same = BertConfig(**TINY, id2label={0: "a", 1: "b"})
    assert key() == key(room=dataclasses.replace(room, free=1)) == key(config=same)
    others = [
        key(place=dataclasses.replace(place, processes=3)),
        key(place=dataclasses.replace(place, precision="bf16")),
        key(place=dataclasses.replace(place, distributed_type="FSDP")),
        key(room=dataclasses.replace(room, total=11)),
        key(room=dataclasses.replace(room, name="other")),
        key(sizes=Sizes(80, 80, 8)),
        key(sizes=Sizes(64, 64, 9)),
        key(config=BertConfig(**TINY, num_labels=3)),
        key(config=BertConfig(**(TINY | {"num_hidden_layers": 2}))),
    ]
    assert len({key(), *others}) == 1 + len(others)


# What is remembered -------------------------------------------------------------------------------------


def test_newest_entries_are_kept_whole(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    notes: list[str] = []
    assert recall("0", notes) is None
    for number in range(310):
        remember(str(number), number, "tried", "GPU", notes)
    assert [recall(key, notes) for key in ("0", "9", "10", "309")] == [None, None, 10, 309]
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
    assert recall("k", notes) is None
    assert len(notes) == (1 if content in DAMAGED else 0)
    assert all("is damaged and will be replaced" in note for note in notes)
    remember("k", 5, "tried", "GPU", notes)
    assert recall("k", []) == 5


def test_folder_that_takes_no_file_is_told(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    notes: list[str] = []
    assert recall("k", notes) is None
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
    assert list(limits_of_groups(tmp_path / "two", tmp_path / "v2")) == [(1000, 500)]

    one = tmp_path / "v1" / "memory"  # the path is the host's, as in a container
    one.mkdir(parents=True)
    for name, text in (("limit_in_bytes", "900"), ("usage_in_bytes", "300"), ("stat", "total_inactive_file 50\n")):
        (one / f"memory.{name}").write_text(text)
    (tmp_path / "one").write_text("9:name=systemd:/\n4:cpu,memory:/docker/x\n")
    assert list(limits_of_groups(tmp_path / "one", tmp_path / "v1")) == [(900, 250)]
    (one / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert list(limits_of_groups(tmp_path / "one", tmp_path / "v1")) == []
    assert list(limits_of_groups(tmp_path / "nowhere", tmp_path)) == []
