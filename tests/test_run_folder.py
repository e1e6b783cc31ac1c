"""Run folders: written whole, verified, continued, never overwritten."""

import errno
import hashlib
import json
import math
import shutil
from contextlib import nullcontext
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_cls.atomic import as_cell, from_cell, whole_folder, write_csv, write_json, write_text
from accel_cls.checkpoints.checkpoint import (
    Progress,
    checkpoint_path,
    find_fault,
    list_checkpoints,
    newest_checkpoint,
    prune_checkpoints,
    update_of,
    with_own_name,
)
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe, load_recipe
from accel_cls.runs.changes import RunSpec
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.resume import Action, Start, decide, open_run


class StoppedError(Exception):
    pass


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stop_while_writing(path):
    with whole_folder(path) as beside:
        (beside / "a.txt").write_text("new")
        raise StoppedError


# Written whole


def test_write_text_replaces(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "neu 新\n")
    assert files_of(tmp_path) == {"a.txt": "neu 新\n".encode()}


def test_write_text_that_fails_leaves_the_old(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "new \ud800")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_json_has_no_nan(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 1, "loss": float("nan"), "grad_norm": float("inf")}])
    folder.append_metrics([{"update": 1, "evaluation": {"loss": float("nan"), "accuracy": 0.5}, "best": True}])
    write_json(tmp_path / "a.json", {"a": [float("-inf"), 1.5, (2, float("nan"))]})

    def refuse(word):
        raise AssertionError(word)

    lines = folder.metrics.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line, parse_constant=refuse) for line in lines]
    assert records[0] == {"update": 1, "loss": None, "grad_norm": None}
    assert records[1]["evaluation"] == {"loss": None, "accuracy": 0.5}
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse) == {"a": [None, 1.5, [2, None]]}
    (evaluation,) = folder.evaluations()
    assert math.isnan(evaluation["evaluation"]["loss"])
    folder.rewind(1, 1)
    assert folder.metrics.read_text(encoding="utf-8").splitlines() == lines


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n, ab好"), max_size=6))
def test_no_cell_is_a_formula_and_each_says_what_it_was(text):
    cell = as_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert from_cell(cell) == text


def test_write_csv_that_fails_leaves_the_old(tmp_path):
    def rows():
        yield ["new"]
        raise StoppedError

    write_text(tmp_path / "a.csv", "old")
    with pytest.raises(StoppedError):
        write_csv(tmp_path / "a.csv", ["x"], rows())
    assert files_of(tmp_path) == {"a.csv": b"old"}


def test_write_csv_is_read_by_excel(tmp_path):
    write_csv(tmp_path / "a.csv", ["文", "n"], iter([['a,"b"\nc', 1]]))
    assert (tmp_path / "a.csv").read_bytes() == b'\xef\xbb\xbf\xe6\x96\x87,n\n"a,""b""\nc",1\n'


def test_write_json_is_readable(tmp_path):
    write_json(tmp_path / "a.json", {"名": [1, 2.5, None]})
    assert "名" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"名": [1, 2.5, None]}


def test_whole_folder_replaces_all_of_the_old(tmp_path):
    for number in (1, 2):
        with whole_folder(tmp_path / "model") as beside:
            (beside / "sub").mkdir()
            (beside / f"sub/{number}.txt").write_text("x")
    assert files_of(tmp_path) == {"model/sub/2.txt": b"x"}


def test_whole_folder_that_fails_leaves_the_old(tmp_path):
    with whole_folder(tmp_path / "model") as beside:
        (beside / "a.txt").write_text("old")
    with pytest.raises(StoppedError):
        stop_while_writing(tmp_path / "model")
    assert files_of(tmp_path / "model") == {"a.txt": b"old"}


def test_whole_folder_sweeps_what_an_end_between_its_renames_left(tmp_path):
    (tmp_path / ".model.old").mkdir()
    (tmp_path / ".model.old/a.txt").write_text("old")
    with whole_folder(tmp_path / "model") as beside:
        (beside / "a.txt").write_text("new")
    assert files_of(tmp_path) == {"model/a.txt": b"new"}


def test_whole_folder_that_fails_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(StoppedError):
        stop_while_writing(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_whole_folder_starts_empty_after_a_failure(tmp_path):
    with pytest.raises(StoppedError):
        stop_while_writing(tmp_path / "model")
    with whole_folder(tmp_path / "model") as beside:
        (beside / "b.txt").write_text("y")
    assert files_of(tmp_path / "model") == {"b.txt": b"y"}


# The folder


def test_set_aside_takes_the_next_free_number(tmp_path):
    for expected in ("food.1", "food.2", "food.3"):
        folder = RunFolder(tmp_path / "food")
        folder.path.mkdir()
        (folder.path / "a").write_text(expected)
        assert folder.set_aside() == tmp_path / expected
    assert not (tmp_path / "food").exists()
    assert files_of(tmp_path) == {f"food.{n}/a": f"food.{n}".encode() for n in (1, 2, 3)}


def test_empty_and_finished(tmp_path):
    folder = RunFolder(tmp_path / "food")
    assert folder.is_empty
    folder.path.mkdir()
    assert folder.is_empty
    (folder.path / "recipe.yaml").write_text("x")
    assert not folder.is_empty
    assert not folder.is_finished
    write_json(folder.results, {})
    assert folder.is_finished


def test_rewind_drops_what_lies_after_the_update(tmp_path):
    folder = RunFolder(tmp_path)
    for update in (1, 2, 2, 3, 4):
        folder.append_metrics([{"update": update, "loss": 0.5}])
    folder.rewind(2, 2)
    lines = folder.metrics.read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [1, 2, 2]
    folder.append_metrics([{"update": 3}])
    assert folder.metrics.read_text().endswith('}\n{"update": 3}\n')


@pytest.mark.parametrize("torn", [b'{"upda', b"{", b'{"update": 2, "na', '{"update": 2, "名'.encode()[:-1]])
def test_rewind_drops_a_line_that_was_cut_off(tmp_path, torn):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 1}])
    with open(folder.metrics, "ab") as file:
        file.write(torn)
    folder.rewind(5, 5)
    assert folder.metrics.read_bytes() == b'{"update": 1}\n'


def test_rewind_keeps_a_whole_last_line_without_its_end(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics.write_text('{"update": 1}\n{"update": 2}')
    folder.rewind(5, 5)
    assert folder.metrics.read_text() == '{"update": 1}\n{"update": 2}\n'


def test_rewind_drops_an_evaluation_that_the_checkpoint_has_not(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 4, "evaluation": {}}, {"update": 8, "loss": 1}, {"update": 8, "evaluation": {}}])
    folder.rewind(8, 4)
    kept = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert kept == [{"update": 4, "evaluation": {}}, {"update": 8, "loss": 1}]


def test_lines_that_find_no_room_leave_no_part_of_themselves(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 1}])

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("accel_cls.runs.folder.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            folder.append_metrics([{"update": 2}])
    folder.append_metrics([{"update": 2}, {"update": 3}])
    assert folder.metrics.read_text() == '{"update": 1}\n{"update": 2}\n{"update": 3}\n'


def test_rewind_of_nothing(tmp_path):
    RunFolder(tmp_path).rewind(5, 5)
    assert files_of(tmp_path) == {}


# Checkpoints


def make_checkpoint(folder, update, **progress):
    """A checkpoint as it is saved, without a model."""
    checkpoint = checkpoint_path(folder, update)
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights %d" % update)
    write_json(checkpoint / "progress.json", asdict(Progress(update=update, **progress)))
    facts = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files_of(checkpoint).items()
    }
    write_json(checkpoint / "manifest.json", {"update": update, "files": facts})
    return checkpoint


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


def truncate(checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"weig")


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


# How a command meets a folder


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def recipe_of(tmp_path, **changes):
    values = {"name": "food", "output": str(tmp_path / "food"), "data": {"train": "/data/a.csv"}}
    return Recipe.model_validate(values | changes)


def spec_of(tmp_path, recipe=None, digest="d", precision=None):
    return RunSpec(recipe or recipe_of(tmp_path), digest, 320, "a machine", precision)


def opened(tmp_path, recipe=None, digest="d", fresh=False, precision=None):
    """What `open_run` does, and its notes; before it, `decide` has said so, and has touched nothing."""
    folder, spec, notes = RunFolder(tmp_path / "food"), spec_of(tmp_path, recipe, digest, precision), []
    before = files_of(tmp_path)
    decision = decide(folder, spec, fresh)
    assert files_of(tmp_path) == before
    refused = decision.action == Action.REFUSE
    with pytest.raises(UserError) if refused else nullcontext() as caught:
        start = open_run(folder, spec, fresh, notes)
    if refused:
        assert str(caught.value) == decision.refusal(folder)
        raise caught.value
    if decision.action in (Action.BEGIN, Action.SET_ASIDE):
        assert start == Start()
    else:
        assert start.finished == (decision.action == Action.SHOW)
        assert (start.checkpoint is None) == (decision.checkpoint is None)
    assert (tmp_path / "food.1").exists() == (decision.action == Action.SET_ASIDE or "food.1" in str(before))
    return start, notes


def test_new_folder_begins(tmp_path):
    start, notes = opened(tmp_path)
    assert (start, notes) == (Start(), [])
    assert load_recipe(tmp_path / "food/recipe.yaml") == recipe_of(tmp_path)
    origin = json.loads((tmp_path / "food/origin.json").read_text())
    assert origin["data"] == "d"
    assert {"accel_cls", "torch", "transformers", "accelerate"} <= set(origin["starts"][0]["versions"])


def test_empty_folder_begins(tmp_path):
    (tmp_path / "food").mkdir()
    assert opened(tmp_path) == (Start(), [])


def test_unfinished_run_continues_from_its_newest_checkpoint(tmp_path):
    opened(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 10)
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    assert opened(tmp_path) == (Start(checkpoint=newest), [])


def test_unfinished_run_continues_from_the_one_before_a_damaged_checkpoint(tmp_path):
    opened(tmp_path)
    older = make_checkpoint(tmp_path / "food/checkpoints", 10)
    truncate(make_checkpoint(tmp_path / "food/checkpoints", 20))
    start, notes = opened(tmp_path)
    assert start == Start(checkpoint=older)
    assert "skipped the checkpoint update-000020" in notes[0]


def test_unfinished_run_without_a_checkpoint_begins_again(tmp_path):
    opened(tmp_path)
    assert opened(tmp_path) == (Start(), [])


HARMLESS = [
    {"name": "other"},
    {"hardware": "cpu_multi"},
    {"checkpoint": {"every": 5, "keep": 1}},
    {"train": {"log_every": 1}},
    {"train": {"max_updates": 25}},
    {"evaluate": {"patience": 1}},
]


@pytest.mark.parametrize("change", HARMLESS, ids=str)
def test_keys_that_change_no_update_do_not_keep_a_run_from_going_on(tmp_path, change):
    opened(tmp_path)
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    assert opened(tmp_path, recipe_of(tmp_path, **change))[0] == Start(checkpoint=newest)


def test_more_epochs_are_the_same_run_where_no_rate_follows_from_them(tmp_path):
    opened(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 20)
    with pytest.raises(
        UserError, match=r"train\.epochs: 3 → 4 \(with train\.schedule: constant and a train\.warmup in"
    ):
        opened(tmp_path, recipe_of(tmp_path, train={"epochs": 4}))
    steady = {"schedule": "constant", "warmup": 5}
    opened(tmp_path, recipe_of(tmp_path, train=steady), fresh=True)
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    assert opened(tmp_path, recipe_of(tmp_path, train={**steady, "epochs": 4}))[0] == Start(checkpoint=newest)
    with pytest.raises(UserError, match=r"train\.warmup: 5 → 6"):
        opened(tmp_path, recipe_of(tmp_path, train={**steady, "epochs": 4, "warmup": 6}))


def test_run_that_is_further_than_it_is_to_go_is_left_as_it_is(tmp_path):
    finish(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 30)
    before = files_of(tmp_path)
    with pytest.raises(
        UserError, match=r"has made 30 updates already, but this one ends after 25 \(train.max_updates: "
    ):
        opened(tmp_path, recipe_of(tmp_path, train={"max_updates": 25}))
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(("before", "now"), [("yes", "on"), ("no", "off"), ("0b11", "0b011")])
def test_class_that_is_renamed_to_what_yaml_1_1_reads_as_the_same_is_another_recipe(tmp_path, before, now):
    """Recipes are YAML 1.2, where these are texts; by YAML 1.1 both are the same boolean or number."""
    named = [recipe_of(tmp_path, data={"train": "/data/a.csv", "labels": {0: "x", 1: one}}) for one in (before, now)]
    opened(tmp_path, named[0])
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    assert opened(tmp_path, named[0])[0] == Start(checkpoint=newest)
    with pytest.raises(UserError, match=rf"data\.labels\.1: {before} → {now}"):
        opened(tmp_path, named[1])


def test_saved_recipe_that_was_spoilt_is_explained(tmp_path):
    opened(tmp_path)
    (tmp_path / "food/recipe.yaml").write_text("name: [food\n")
    with pytest.raises(UserError, match=r"recipe\.yaml:.*not readable as YAML") as caught:
        opened(tmp_path)
    assert "--fresh" in str(caught.value)
    assert opened(tmp_path, fresh=True)[0] == Start()


def test_run_does_not_go_on_in_another_precision(tmp_path):
    """Its updates would be other ones."""
    opened(tmp_path, precision="fp32")
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    with pytest.raises(
        UserError, match=r"  precision: fp32 → bf16 \(mixed_precision, of the hardware profile or of a"
    ):
        opened(tmp_path, precision="bf16")
    assert opened(tmp_path, recipe_of(tmp_path, hardware="cpu_multi"), precision="fp32")[0].checkpoint == newest
    assert [one["precision"] for one in read_json(tmp_path / "food/origin.json")["starts"]] == ["fp32", "fp32"]
    write_json(tmp_path / "food/results.json", {"scores": {}})
    assert "another recipe (precision: fp32 → bf16" in opened(tmp_path, precision="bf16")[1][0]


def test_run_of_before_precision_was_recorded_goes_on_in_any(tmp_path):
    opened(tmp_path, precision="fp32")
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    origin = read_json(tmp_path / "food/origin.json")
    del origin["starts"][0]["precision"]
    write_json(tmp_path / "food/origin.json", origin)
    assert opened(tmp_path, precision="bf16")[0] == Start(checkpoint=newest)
    with pytest.raises(UserError, match="precision: bf16 → fp32"):
        opened(tmp_path, precision="fp32")


def test_each_start_is_recorded_with_what_changed(tmp_path):
    opened(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 20)
    opened(tmp_path, recipe_of(tmp_path, train={"max_updates": 25}, checkpoint={"keep": 5}))
    starts = json.loads((tmp_path / "food/origin.json").read_text())["starts"]
    assert [start["update"] for start in starts] == [0, 20]
    assert [start["changes"] for start in starts] == [
        [],
        ["train.max_updates: not set → 25", "checkpoint.keep: 2 → 5"],
    ]
    assert {start["hardware"] for start in starts} == {"a machine"}
    opened(tmp_path, fresh=True)
    assert len(json.loads((tmp_path / "food/origin.json").read_text())["starts"]) == 1


def with_tokens(tmp_path, tokens):
    return recipe_of(tmp_path, train={"micro_batch_tokens": tokens})


def test_run_of_before_there_was_a_key_had_its_default(tmp_path):
    opened(tmp_path, recipe_of(tmp_path))
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    saved = tmp_path / "food/recipe.yaml"
    text = saved.read_text()
    assert "  min_micro_batches: 1\n" in text
    saved.write_text(text.replace("  min_micro_batches: 1\n", ""))
    assert opened(tmp_path, recipe_of(tmp_path))[0] == Start(checkpoint=newest)
    saved.write_text(text.replace("  min_micro_batches: 1\n", ""))
    with pytest.raises(UserError, match=r"train\.min_micro_batches: not set → 2"):
        opened(tmp_path, recipe_of(tmp_path, train={"min_micro_batches": 2}))


def test_auto_is_the_number_that_the_run_has(tmp_path):
    opened(tmp_path, with_tokens(tmp_path, "auto"))
    assert opened(tmp_path, with_tokens(tmp_path, "auto")) == (Start(), [])  # ended before anything was found
    opened(tmp_path, with_tokens(tmp_path, 640))
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    start, notes = opened(tmp_path, with_tokens(tmp_path, "auto"))
    assert start == Start(checkpoint=newest, tokens=640)
    assert notes == ["train.micro_batch_tokens: auto → 640, with which this run began"]
    assert load_recipe(tmp_path / "food/recipe.yaml").train.micro_batch_tokens == 640
    with pytest.raises(UserError, match=r"train\.micro_batch_tokens: 640 → 320"):
        opened(tmp_path, with_tokens(tmp_path, 320))
    assert opened(tmp_path, with_tokens(tmp_path, "auto"), fresh=True)[0] == Start()


@pytest.mark.parametrize(("asked", "tokens"), [("auto", 384), (320, 320), (640, 640)])
def test_run_that_ran_out_of_memory_goes_on_with_less(tmp_path, asked, tokens):
    opened(tmp_path, with_tokens(tmp_path, 640))
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    write_json(tmp_path / "food/out_of_memory.json", {"where": "in update 23", "tokens": 640, "smaller": 384})
    start, notes = opened(tmp_path, with_tokens(tmp_path, asked))
    assert start == Start(checkpoint=newest, tokens=tokens if asked == "auto" else None)
    assert load_recipe(tmp_path / "food/recipe.yaml").train.micro_batch_tokens == tokens
    said = f"out of memory in update 23 with train.micro_batch_tokens 640; it goes on with {tokens}:"
    assert [said in note for note in notes] == ([True] if tokens < 640 else [])
    assert not (tmp_path / "food/out_of_memory.json").exists()
    with pytest.raises(UserError, match=rf"train\.micro_batch_tokens: {tokens} → 256"):
        opened(tmp_path, with_tokens(tmp_path, 256))


def test_folder_that_was_moved_goes_on(tmp_path):
    opened(tmp_path)
    (tmp_path / "food").rename(tmp_path / "moved")
    newest = make_checkpoint(tmp_path / "moved/checkpoints", 20)
    recipe = recipe_of(tmp_path, output=str(tmp_path / "moved"))
    spec = RunSpec(recipe, "d", 320)
    assert open_run(RunFolder(tmp_path / "moved"), spec, False, []) == Start(checkpoint=newest)


def finish(tmp_path):
    opened(tmp_path)
    write_json(tmp_path / "food/results.json", {"scores": {}})


def test_finished_run_of_the_same_recipe_is_left_alone(tmp_path):
    finish(tmp_path)
    before = files_of(tmp_path)
    assert opened(tmp_path) == (Start(finished=True), [])
    assert files_of(tmp_path) == before


def test_finished_run_of_another_recipe_is_moved_aside(tmp_path):
    finish(tmp_path)
    before = files_of(tmp_path / "food")
    start, notes = opened(tmp_path, recipe_of(tmp_path, seed=7))
    assert start == Start()
    assert notes == [
        "food held a finished run of another recipe (seed: 42 → 7); it is kept as food.1",
    ]
    assert files_of(tmp_path / "food.1") == before
    assert load_recipe(tmp_path / "food/recipe.yaml").seed == 7
    assert not RunFolder(tmp_path / "food").is_finished


def test_finished_run_of_other_data_is_moved_aside(tmp_path):
    finish(tmp_path)
    start, notes = opened(tmp_path, digest="other")
    assert start == Start()
    assert "the data files' content" in notes[0]


def test_unfinished_run_of_another_recipe_is_refused_with_what_differs(tmp_path):
    opened(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 10)
    before = files_of(tmp_path)
    other = recipe_of(tmp_path, seed=7, train={"class_weights": "balanced", "epochs": 4})
    with pytest.raises(UserError) as caught:
        opened(tmp_path, other)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"output: {tmp_path / 'food'} holds an unfinished run that differs from this one:"
    assert sorted(lines[1:4]) == [
        "  seed: 42 → 7",
        "  train.class_weights: not set → balanced",
        "  train.epochs: 3 → 4",
    ]
    assert "--fresh" in lines[4]
    assert "output=" in lines[4]
    assert files_of(tmp_path) == before


def test_run_of_another_recipe_without_a_checkpoint_is_kept_under_another_name(tmp_path):
    opened(tmp_path)
    start, notes = opened(tmp_path, recipe_of(tmp_path, seed=7))
    assert start == Start()
    assert "a run without a checkpoint yet, of another recipe (seed: 42 → 7); it is kept as food.1" in notes[0]
    assert (tmp_path / "food.1/recipe.yaml").is_file()


def test_unfinished_run_of_other_data_is_refused(tmp_path):
    opened(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 10)
    with pytest.raises(UserError, match="the data files' content"):
        opened(tmp_path, digest="other")


def test_data_file_that_has_changed_is_named(tmp_path):
    files = [tmp_path / name for name in ("a.csv", "b.csv")]
    for file in files:
        file.write_text("text,label\n")
    recipe = recipe_of(tmp_path, data={"train": str(files[0]), "validation": str(files[1])})
    opened(tmp_path, recipe)
    make_checkpoint(tmp_path / "food/checkpoints", 10)
    files[1].write_text("text,label\nnew,1\n")
    with pytest.raises(UserError, match=rf"  the data files' content: {files[1]}\n"):
        opened(tmp_path, recipe, digest="other")


@pytest.mark.parametrize("fresh", [False, True])
def test_folder_with_anything_else_is_refused(tmp_path, fresh):
    (tmp_path / "food").mkdir()
    (tmp_path / "food/thesis.docx").write_text("x")
    with pytest.raises(UserError, match=r"holds files, but no run of accel_cls; name another folder with output="):
        opened(tmp_path, fresh=fresh)
    assert files_of(tmp_path) == {"food/thesis.docx": b"x"}


@pytest.mark.parametrize("fresh", [False, True])
def test_output_that_is_a_file_is_refused(tmp_path, fresh):
    (tmp_path / "food").write_text("x")
    with pytest.raises(UserError, match="output: "):
        opened(tmp_path, fresh=fresh)
    assert files_of(tmp_path) == {"food": b"x"}


@pytest.mark.parametrize("state", [opened, finish])
def test_fresh_keeps_what_was_there_and_begins(tmp_path, state):
    state(tmp_path)
    before = files_of(tmp_path / "food")
    start, notes = opened(tmp_path, fresh=True)
    assert start == Start()
    assert notes == ["--fresh: what was here is kept as food.1"]
    assert files_of(tmp_path / "food.1") == before
    assert not RunFolder(tmp_path / "food").is_finished


def test_fresh_in_a_new_folder_just_begins(tmp_path):
    assert opened(tmp_path, fresh=True) == (Start(), [])


def test_run_that_was_killed_in_its_first_write_begins_again(tmp_path):
    (tmp_path / "food").mkdir()
    (tmp_path / "food/.recipe.yaml.partial").write_text("na")
    assert opened(tmp_path) == (Start(), [])


def test_another_data_file_is_named_and_a_moved_one_is_no_change(tmp_path):
    opened(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 10)
    moved = recipe_of(tmp_path, data={"train": "elsewhere.csv"})
    with pytest.raises(UserError, match=r"data\.train: .* → elsewhere\.csv"):
        opened(tmp_path, moved, digest="other")
    start, _ = opened(tmp_path, moved)
    assert start.checkpoint is not None


@pytest.mark.parametrize("change", [{"train": {"max_updates": 25}}, {"evaluate": {"patience": 1}}], ids=str)
def test_finished_run_that_is_to_end_elsewhere_goes_on(tmp_path, change):
    finish(tmp_path)
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    start, notes = opened(tmp_path, recipe_of(tmp_path, **change))
    assert start == Start(checkpoint=newest)
    assert next(iter(next(iter(change.values())))) in notes[0]
    assert not RunFolder(tmp_path / "food").is_finished
