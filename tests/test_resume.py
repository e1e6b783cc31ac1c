"""How a start meets a folder: it begins, goes on, is refused, or keeps what is there under another name."""

import json

import pytest
from run_folders import files_of, finish, make_checkpoint, opened, recipe_of, truncate

from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe
from accel_cls.runs.changes import RunSpec
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.resume import Start, open_run

# Empty, or with an unfinished run


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


def test_saved_recipe_that_was_spoilt_is_explained(tmp_path):
    opened(tmp_path)
    (tmp_path / "food/recipe.yaml").write_text("name: [food\n")
    with pytest.raises(UserError, match=r"recipe\.yaml:.*not readable as YAML") as caught:
        opened(tmp_path)
    assert "--fresh" in str(caught.value)
    assert opened(tmp_path, fresh=True)[0] == Start()


def test_folder_that_was_moved_goes_on(tmp_path):
    opened(tmp_path)
    (tmp_path / "food").rename(tmp_path / "moved")
    newest = make_checkpoint(tmp_path / "moved/checkpoints", 20)
    recipe = recipe_of(tmp_path, output=str(tmp_path / "moved"))
    spec = RunSpec(recipe, "d", 320)
    assert open_run(RunFolder(tmp_path / "moved"), spec, False, []) == Start(checkpoint=newest)


def test_run_that_was_killed_in_its_first_write_begins_again(tmp_path):
    (tmp_path / "food").mkdir()
    (tmp_path / "food/.recipe.yaml.partial").write_text("na")
    assert opened(tmp_path) == (Start(), [])


# With a run of another recipe or other data, or a finished one


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


# With anything else, and --fresh


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
