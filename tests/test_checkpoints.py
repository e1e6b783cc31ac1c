"""Checkpoints on disk: found by number, verified, pruned; a damaged one is skipped for the one before."""

import shutil

import pytest
from run_folders import make_checkpoint, truncate

from accel_cls.checkpoints.checkpoint import (
    find_fault,
    list_checkpoints,
    newest_checkpoint,
    prune_checkpoints,
    update_of,
    with_own_name,
)


def test_checkpoint_that_takes_the_place_of_another_is_never_missing(tmp_path):
    """Killed between two renames, the old one still counts, and gets its name back."""
    old = make_checkpoint(tmp_path, 3)
    old.rename(tmp_path / "update-000003.old")
    make_checkpoint(tmp_path, 2)
    found = newest_checkpoint(tmp_path, [])
    assert found == tmp_path / "update-000003.old"
    assert update_of(found) == 3
    assert with_own_name(found) == old
    assert find_fault(old) is None


def test_the_new_of_two_checkpoints_of_an_update_counts(tmp_path):
    make_checkpoint(tmp_path, 3).rename(tmp_path / "update-000003.old")
    new = make_checkpoint(tmp_path, 3, best_update=3)
    assert newest_checkpoint(tmp_path, []) == new
    (new / "model.safetensors").unlink()
    found = newest_checkpoint(tmp_path, [])
    assert found == tmp_path / "update-000003.old"
    assert with_own_name(found) == new
    assert find_fault(new) is None


def change(checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"Weights 20")


def remove(checkpoint):
    (checkpoint / "model.safetensors").unlink()


def lose_manifest(checkpoint):
    (checkpoint / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (truncate, "model.safetensors has 4 bytes instead of 10"),
        (change, "model.safetensors has another checksum than when it was written"),
        (remove, "model.safetensors is missing"),
        (lose_manifest, "its manifest can't be read"),
    ],
)
def test_damaged_checkpoint_is_skipped_for_the_one_before(tmp_path, damage, fault):
    older, newest = make_checkpoint(tmp_path, 10), make_checkpoint(tmp_path, 20)
    notes = []
    assert newest_checkpoint(tmp_path, notes) == newest
    assert notes == []
    damage(newest)
    assert newest_checkpoint(tmp_path, notes) == older
    assert len(notes) == 1
    assert notes[0].startswith(f"skipped the checkpoint update-000020: {fault}")


@pytest.mark.parametrize("manifest", ["", "{", "{}", "[]", "null", '{"files": 3}', '{"files": {"progress.json": 1}}'])
def test_broken_manifest_is_a_fault(tmp_path, manifest):
    checkpoint = make_checkpoint(tmp_path, 10)
    (checkpoint / "manifest.json").write_text(manifest)
    assert find_fault(checkpoint)
    assert newest_checkpoint(tmp_path, []) is None


def test_all_damaged_means_none(tmp_path):
    for update in (1, 2):
        truncate(make_checkpoint(tmp_path, update))
    notes = []
    assert newest_checkpoint(tmp_path, notes) is None
    assert [note.split(":")[0] for note in notes] == [
        "skipped the checkpoint update-000002",
        "skipped the checkpoint update-000001",
    ]


def test_no_checkpoints_yet(tmp_path):
    assert newest_checkpoint(tmp_path / "none", []) is None


def test_newest_is_by_number_not_by_name(tmp_path):
    for update in (999_999, 1_000_000, 20):
        make_checkpoint(tmp_path, update)
    assert [update_of(c) for c in list_checkpoints(tmp_path)] == [1_000_000, 999_999, 20]


def test_folders_with_other_names_are_no_checkpoints(tmp_path):
    checkpoint = make_checkpoint(tmp_path, 10)
    shutil.copytree(checkpoint, tmp_path / ".update-000011.partial")
    shutil.copytree(checkpoint, tmp_path / "update-000012 (copy)")
    assert list_checkpoints(tmp_path) == [checkpoint]


@pytest.mark.parametrize(
    ("keep", "best", "left"),
    [
        (2, 50, [50, 40]),
        (2, 20, [50, 40, 20]),
        (1, 50, [50]),
        (9, 10, [50, 40, 30, 20, 10]),
        (2, 0, [50, 40]),
    ],
)
def test_prune_keeps_the_newest_and_the_best(tmp_path, keep, best, left):
    for update in (10, 20, 30, 40, 50):
        make_checkpoint(tmp_path, update)
    prune_checkpoints(tmp_path, keep, best)
    assert [update_of(checkpoint) for checkpoint in list_checkpoints(tmp_path)] == left
