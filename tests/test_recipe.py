"""Recipes: what is read, how it is merged, what is refused and in which words."""

from pathlib import Path

import pytest
from conftest import BASE
from conftest import write_file as write
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from accel_cls.recipe import Hub, RecipeError, load_recipe, recipe_to_yaml


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text, *overrides):
    return load_recipe(write(text), overrides)


def refusal(text, *overrides):
    with pytest.raises(RecipeError) as caught:
        load(text, *overrides)
    return str(caught.value)


# What is read


def test_defaults_fill_what_is_left_out():
    recipe = load(BASE)
    assert recipe.seed == 42
    assert recipe.hardware == "auto"
    assert recipe.data.validation == 0.2
    assert recipe.data.text == "text"
    assert recipe.data.labels is None
    assert recipe.model.name is None
    assert recipe.train.epochs == 3
    assert recipe.train.learning_rate == 2e-5
    assert recipe.evaluate.metrics == ["accuracy", "f1", "precision", "recall"]
    assert recipe.checkpoint.keep == 2


@pytest.mark.parametrize(
    ("written", "value"),
    [("2e-5", 2e-5), ("1E-3", 1e-3), ("+1e-1", 0.1), (".5", 0.5), ("5.", 5.0), ("1", 1.0), ("1.5e0", 1.5)],
)
def test_float_as_written(written, value):
    rate = load(BASE + f"train: {{learning_rate: {written}}}\n").train.learning_rate
    assert isinstance(rate, float)
    assert rate == value


@pytest.mark.parametrize(("written", "value"), [("017", 17), ("0x10", 16), ("0o17", 15), ("+3", 3), ("3", 3)])
def test_int_as_written(written, value):
    assert load(BASE + f"train: {{epochs: {written}}}\n").train.epochs == value


@pytest.mark.parametrize(
    "text",
    ["1:30", "yes", "No", "on", "OFF", "y", "2020-01-01", "1_000", "0x", "0b11", "1e", "=", "truE", "1.2.3"],
)
def test_plain_text_stays_text(text):
    assert load(BASE.replace("name: a", f"name: {text}")).name == text
    assert load(BASE, f"name={text}").name == text


def test_labels_keep_the_type_they_are_written_in():
    labels = load(BASE, "data.labels={0: a, yes: b, true: c, '2': d}").data.labels
    assert [(type(value), value) for value in labels] == [(int, 0), (str, "yes"), (bool, True), (str, "2")]


def test_byte_order_mark_is_no_part_of_the_first_key():
    assert load(b"\xef\xbb\xbf" + BASE.encode()).name == "a"


def test_windows_line_ends():
    assert load(BASE.replace("\n", "\r\n")).name == "a"


def test_recipe_can_not_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load(BASE).train.epochs = 7


# Overrides


def test_override_beats_the_file_and_a_later_one_an_earlier():
    recipe = load(BASE + "train: {epochs: 4, batch_size: 8}\n", "train.epochs=5", "train.epochs=6")
    assert (recipe.train.epochs, recipe.train.batch_size) == (6, 8)


def test_override_with_a_mapping_merges():
    train = load(BASE + "train: {epochs: 4, batch_size: 8}\n", "train={epochs: 5}").train
    assert (train.epochs, train.batch_size) == (5, 8)


def test_override_value_may_hold_equals_signs_dots_and_spaces():
    assert load(BASE, "name=a=b.c d").name == "a=b.c d"


@pytest.mark.parametrize("separator", ["|", "#", ">", ";"])
def test_override_is_a_value_also_where_yaml_has_another_meaning_for_it(separator):
    assert load(BASE, f"data.separator={separator}").data.separator == separator


def test_override_replaces_a_list():
    assert load(BASE, "evaluate.metrics=[accuracy]").evaluate.metrics == ["accuracy"]


def test_override_of_a_key_that_is_a_number():
    assert load(BASE, "data.labels.0=bad", "data.labels.1=good").data.labels == {0: "bad", 1: "good"}


@pytest.mark.parametrize("reset", ["~train.epochs", "train.epochs=null", "train.epochs=~", "~train", "train=null"])
def test_reset_brings_the_default_back(reset):
    assert load(BASE + "train: {epochs: 9}\n", reset).train.epochs == 3


def test_reset_of_a_required_key_is_an_error():
    assert refusal(BASE, "~output").endswith("output: required, but not given; expected a folder")


def test_value_after_a_reset_counts():
    assert load(BASE + "train: {epochs: 9, batch_size: 8}\n", "~train", "train.epochs=4").train.batch_size == 32


# extends


def test_extends_over_three_levels_merges_deeply():
    write("name: top\noutput: o\ndata: {train: a.csv, text: t}\ntrain: {epochs: 1, batch_size: 8}\n", "top.yaml")
    write("extends: top.yaml\nname: middle\ntrain: {epochs: 2, warmup: 3}\n", "middle.yaml")
    recipe = load("extends: middle.yaml\ntrain: {epochs: 5}\n")
    assert (recipe.name, recipe.data.text) == ("middle", "t")
    assert (recipe.train.epochs, recipe.train.batch_size, recipe.train.warmup) == (5, 8, 3)


def test_extends_replaces_lists():
    write(BASE + "evaluate: {metrics: [accuracy, f1, recall]}\n", "top.yaml")
    assert load("extends: top.yaml\nevaluate: {metrics: [accuracy]}\n").evaluate.metrics == ["accuracy"]


def test_extends_resets_with_null():
    write(BASE + "train: {epochs: 9, class_weights: balanced}\nmodel: {dropout: 0.5}\n", "top.yaml")
    recipe = load("extends: top.yaml\ntrain: {class_weights: null}\nmodel: ~\n")
    assert recipe.train.class_weights is None
    assert recipe.model.dropout is None
    assert recipe.train.epochs == 9


def test_extends_replaces_a_file_by_a_hub_id():
    write(BASE, "top.yaml")
    recipe = load("extends: top.yaml\ndata: {train: {hub: org/name, split: train}}\n")
    assert recipe.data.train == Hub(hub="org/name", split="train")


def test_extends_is_relative_to_the_file_that_says_it():
    write(BASE, "deep/er/top.yaml")
    write("extends: er/top.yaml\n", "deep/middle.yaml")
    assert load("extends: deep/middle.yaml\n").name == "a"


def test_mistake_in_an_ancestor_is_shown_there():
    write(BASE + "train: {epochs: 0}\n", "up/top.yaml")
    assert refusal("extends: up/top.yaml\n").startswith("up/top.yaml:4:17  train.epochs: found 0; ")


def test_mistake_that_a_child_mends_is_none():
    write(BASE + "train: {epochs: 0}\n", "top.yaml")
    assert load("extends: top.yaml\ntrain: {epochs: 1}\n").train.epochs == 1


def test_extends_in_a_circle():
    write("extends: r.yaml\n", "b.yaml")
    assert "b.yaml:1:10  extends: goes in a circle: r.yaml → b.yaml → r.yaml" in refusal("extends: b.yaml\n" + BASE)


def test_extends_itself():
    assert "r.yaml:1:10  extends: goes in a circle: r.yaml → r.yaml" in refusal("extends: r.yaml\n" + BASE)


def test_recipe_that_does_not_exist():
    with pytest.raises(RecipeError) as caught:
        load_recipe("nowhere.yaml")
    assert str(caught.value) == "nowhere.yaml  can't be read: No such file or directory"


def test_recipe_that_is_a_folder():
    Path("folder.yaml").mkdir()
    with pytest.raises(RecipeError) as caught:
        load_recipe("folder.yaml")
    assert str(caught.value) == "folder.yaml  can't be read: Is a directory"


# Paths


def test_input_path_is_relative_to_the_recipe_that_says_it(tmp_path):
    write("name: a\noutput: o\ndata: {train: [a.csv, sub/b*.csv]}\n", "up/top.yaml")
    recipe = load("extends: up/top.yaml\ndata: {validation: v.csv}\n")
    assert recipe.data.train == [str(tmp_path / "up/a.csv"), str(tmp_path / "up/sub/b*.csv")]
    assert recipe.data.validation == str(tmp_path / "v.csv")


def test_input_path_of_an_override_is_relative_to_the_current_folder(tmp_path):
    path = write(BASE, "up/r.yaml")
    assert load_recipe(path, ["data.train=x.csv"]).data.train == str(tmp_path / "x.csv")


def test_output_is_always_relative_to_the_current_folder(tmp_path):
    path = write(BASE, "up/r.yaml")
    assert load_recipe(path).output == str(tmp_path / "runs/a")
    assert load_recipe(path, ["output=o"]).output == str(tmp_path / "o")


def test_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    recipe = load(BASE, "data.train=~/x.csv", "output='~/o'")
    assert (recipe.data.train, recipe.output) == (str(tmp_path / "home/x.csv"), str(tmp_path / "home/o"))


def test_model_name_is_a_path_only_where_it_exists_or_looks_like_one(tmp_path):
    (tmp_path / "here").mkdir()
    assert load(BASE, "model.name=here").model.name == str(tmp_path / "here")
    assert load(BASE, "model.name=not/here").model.name == "not/here"
    assert load(BASE, "model.name=./gone").model.name == str(tmp_path / "gone")
    assert load(BASE, "model.name=models/gone").model.name == "models/gone"
    (tmp_path / "models").mkdir()
    assert load(BASE, "model.name=models/gone").model.name == str(tmp_path / "models/gone")
    assert load(BASE, "model.name='models\\gone'").model.name == str(tmp_path / "models\\gone")


def test_hub_is_a_path_only_where_it_exists(tmp_path):
    (tmp_path / "mirror").mkdir()
    assert load(BASE, "data.train={hub: mirror, split: train}").data.train.hub == str(tmp_path / "mirror")
    assert load(BASE, "data.train={hub: org/mirror, split: train}").data.train.hub == "org/mirror"


def test_folder_named_like_a_shipped_profile_does_not_hide_it(tmp_path):
    (tmp_path / "cpu").mkdir()
    assert load(BASE + "hardware: cpu\n").hardware == "cpu"


# Round trip


def test_round_trip_of_defaults():
    recipe = load(BASE)
    assert load(recipe_to_yaml(recipe)) == recipe


def test_round_trip_of_every_section():
    recipe = load(
        BASE,
        "seed=0",
        "hardware=cpu",
        "data={train: {hub: org/name, config: c, split: 'train[:10%]'}, validation: [a.csv, b/*.csv]}",
        "data={text: [a, b], label: c, columns: [a, b, c], max_length: 64, invalid: drop}",
        "data.labels={0: 差评, 2: 好评, true: ja, x: '017'}",
        "model={scratch: {layers: 1, hidden: 8, heads: 4, vocabulary: 100}, dropout: 0}",
        "train={epochs: 1, max_updates: 7, warmup: 5, schedule: cosine}",
        "train={learning_rate: 3e-7, max_grad_norm: 0}",
        "train.class_weights={差评: 1, 好评: 2.5, ja: 1e-3, '017': 3}",
        "evaluate={every: 10, metrics: [f1_macro], best: loss, patience: 2}",
        "checkpoint={every: 5, keep: 1}",
    )
    text = recipe_to_yaml(recipe)
    assert "差评" in text
    assert load(text) == recipe
    assert load(text).data.labels == {0: "差评", 2: "好评", True: "ja", "x": "017"}


def test_round_trip_from_another_folder(tmp_path, monkeypatch):
    recipe = load(BASE, "data.validation=v.csv")
    path = write(recipe_to_yaml(recipe), "else/where/recipe.yaml")
    monkeypatch.chdir(tmp_path / "else")
    assert load_recipe(tmp_path / path) == recipe


def test_resolved_recipe_says_what_defaults_decided():
    text = recipe_to_yaml(load(BASE))
    for line in (
        "seed: 42",
        "epochs: 3",
        "learning_rate: 2.0e-05",
        "warmup: 0.1",
        "keep: 2",
        "max_length: 128",
    ):
        assert line in text


@pytest.fixture(scope="module")
def scratch_file(tmp_path_factory):
    return tmp_path_factory.mktemp("any") / "r.yaml"


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
@example("1e5")
@example("09")
@example("0o17")
@example("1.5e5")
@example("017")
@example("yes")
@example("null")
@example("1:30")
@example("<<")
@example("=")
@example(" a ")
def test_round_trip_of_any_name(scratch_file, name):
    assume(name.strip())  # a class needs a name
    scratch_file.write_text(BASE)
    base = load_recipe(scratch_file)
    data = base.data.model_copy(update={"labels": {0: name, 1: f"not {name}"}})
    recipe = base.model_copy(update={"name": name, "data": data})
    scratch_file.write_text(recipe_to_yaml(recipe), encoding="utf-8")
    assert load_recipe(scratch_file) == recipe
