"""What of a run may change before it goes on: keys of the recipe, data files, precision, micro-batches."""

import json

import pytest
from run_folders import files_of, finish, make_checkpoint, opened, recipe_of

from accel_cls.atomic import write_json
from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.resume import Start

# Keys of the recipe

HARMLESS = [
    {"name": "other"},
    {"hardware": "cpu_multi"},
    {"checkpoint": {"every": 5, "keep": 1}},
    {"train": {"log_every": 1}},
    {"train": {"max_updates": 25}},
    {"train": {"trackers": ["tensorboard"]}},
    {"evaluate": {"patience": 1}},
    {"evaluate": {"behaviour": 0}},
    {"data": {"train": "/data/a.csv", "slices": ["shop"]}},
    {"evaluate": {"calibrate": "none"}},
    {"decide": {"precision": 0.9}},
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
        UserError,
        match=r"train\.epochs: 3 → 4 \(with train\.schedule: constant, or inverse_sqrt, and train\.warmup",
    ):
        opened(tmp_path, recipe_of(tmp_path, train={"epochs": 4}))
    steady = {"schedule": "constant", "warmup": 5}
    opened(tmp_path, recipe_of(tmp_path, train=steady), fresh=True)
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    assert opened(tmp_path, recipe_of(tmp_path, train={**steady, "epochs": 4}))[0] == Start(checkpoint=newest)
    with pytest.raises(UserError, match=r"train\.warmup: 5 → 6"):
        opened(tmp_path, recipe_of(tmp_path, train={**steady, "epochs": 4, "warmup": 6}))


def test_run_whose_mean_is_made_at_its_end_has_one_end(tmp_path):
    average = {"average": {"last": 2}, "train": {"max_updates": 30}}
    opened(tmp_path, recipe_of(tmp_path, **average))
    make_checkpoint(tmp_path / "food/checkpoints", 20)
    with pytest.raises(UserError, match=r"train\.max_updates: 30 → 40"):
        opened(tmp_path, recipe_of(tmp_path, **average | {"train": {"max_updates": 40}}))


def test_run_that_is_further_than_it_is_to_go_is_left_as_it_is(tmp_path):
    finish(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 30)
    before = files_of(tmp_path)
    with pytest.raises(
        UserError, match=r"has made 30 updates already, but this one ends after 25 \(train.max_updates: "
    ):
        opened(tmp_path, recipe_of(tmp_path, train={"max_updates": 25}))
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("change", [{"train": {"max_updates": 25}}, {"evaluate": {"patience": 1}}], ids=str)
def test_finished_run_that_is_to_end_elsewhere_goes_on(tmp_path, change):
    finish(tmp_path)
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    start, notes = opened(tmp_path, recipe_of(tmp_path, **change))
    assert start == Start(checkpoint=newest)
    assert next(iter(next(iter(change.values())))) in notes[0]
    assert not RunFolder(tmp_path / "food").is_finished


@pytest.mark.parametrize(("before", "now"), [("yes", "on"), ("no", "off"), ("0b11", "0b011")])
def test_class_that_is_renamed_to_what_yaml_1_1_reads_as_the_same_is_another_recipe(tmp_path, before, now):
    """Recipes are YAML 1.2, where these are texts; by YAML 1.1 both are the same boolean or number."""
    named = [recipe_of(tmp_path, data={"train": "/data/a.csv", "labels": {0: "x", 1: one}}) for one in (before, now)]
    opened(tmp_path, named[0])
    newest = make_checkpoint(tmp_path / "food/checkpoints", 20)
    assert opened(tmp_path, named[0])[0] == Start(checkpoint=newest)
    with pytest.raises(UserError, match=rf"data\.labels\.1: {before} → {now}"):
        opened(tmp_path, named[1])


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


# Data files


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


def test_another_data_file_is_named_and_a_moved_one_is_no_change(tmp_path):
    opened(tmp_path)
    make_checkpoint(tmp_path / "food/checkpoints", 10)
    moved = recipe_of(tmp_path, data={"train": "elsewhere.csv"})
    with pytest.raises(UserError, match=r"data\.train: .* → elsewhere\.csv"):
        opened(tmp_path, moved, digest="other")
    start, _ = opened(tmp_path, moved)
    assert start.checkpoint is not None


# Precision and micro-batches


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


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


def with_tokens(tmp_path, tokens):
    return recipe_of(tmp_path, train={"micro_batch_tokens": tokens})


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
