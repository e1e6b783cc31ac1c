"""The micro-batches that fitted are remembered for the next run: by which key, and in a file that may be damaged."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
from memory_setups import TINY, on_meta, setup_of
from transformers import BertConfig

from accel_cls.memory.available import DeviceMemory
from accel_cls.memory.remembered import cache_file, remember, remembered_tokens, search_key
from accel_cls.memory.sizes import MicroBatchSizes
from accel_cls.models.packing import make_packable


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
