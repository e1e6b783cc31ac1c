"""Recipes: what is read, how it is merged, what is refused and in which words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accel_cls.recipe import Hub, RecipeError, load_recipe, recipe_to_yaml
from accel_cls.shipped import shipped_folder

BASE = "name: a\noutput: runs/a\ndata: {train: a.csv}\n"  # three lines; what a test adds is line 4


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text, name="r.yaml"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


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


@pytest.mark.parametrize("path", sorted(shipped_folder("recipes").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_recipe_is_right(path):
    assert load_recipe(path).name


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


def test_hub_is_a_path_only_where_it_exists(tmp_path):
    (tmp_path / "mirror").mkdir()
    assert load(BASE, "data.train={hub: mirror, split: train}").data.train.hub == str(tmp_path / "mirror")
    assert load(BASE, "data.train={hub: org/mirror, split: train}").data.train.hub == "org/mirror"


def test_folder_named_like_a_shipped_profile_does_not_hide_it(tmp_path):
    (tmp_path / "cpu").mkdir()
    assert load(BASE + "hardware: cpu\n").hardware == "cpu"


# What is refused, word for word

METRICS = (
    "a list of accuracy, precision, recall, f1, precision_macro, recall_macro, f1_macro, balanced_accuracy, "
    "matthews_correlation"
)
FILES = "a file, a glob, a list of files, or {hub: ID, split: NAME}"
WEIGHTS = "'balanced', or a mapping from every class name to a weight above 0"
FRACTION = f"a fraction of the training examples between 0 and 1, or {FILES}"
WHOLE = "a whole number, 1 or more"
EVERY = "'epoch' or a whole number of updates, 1 or more"
LABELS = "two or more classes: a mapping from each value of the label column to a class name, or the list of values"
WARMUP = "a fraction of all updates below 1, or a whole number of updates"
TOP = "name, seed, hardware, output, data, model, train, evaluate, checkpoint"

BROKEN_LINES = [  # line 4 of a recipe, the column to blame, the message
    ("trian: {epochs: 3}", 1, "trian: unknown key; did you mean train?"),
    ("zzz: 3", 1, f"zzz: unknown key; expected one of {TOP}"),
    ("train: {epoch: 3}", 9, "train.epoch: unknown key; did you mean epochs?"),
    ("trian: null", 1, "trian: unknown key; did you mean train?"),
    ("train: {epoch: null}", 9, "train.epoch: unknown key; did you mean epochs?"),
    ("train: 3", 8, "train: found 3; expected a mapping"),
    ("train: [3]", 8, "train: found [3]; expected a mapping"),
    ("train: {epochs: 3.0}", 17, f"train.epochs: found 3.0; expected {WHOLE}"),
    ("train: {epochs: '3'}", 17, f"train.epochs: found '3'; expected {WHOLE}"),
    ("train: {epochs: 1:30}", 17, f"train.epochs: found '1:30'; expected {WHOLE}"),
    ("train: {epochs: yes}", 17, f"train.epochs: found 'yes'; expected {WHOLE}"),
    ("train: {epochs: true}", 17, f"train.epochs: found True; expected {WHOLE}"),
    ("train: {epochs: 0}", 17, f"train.epochs: found 0; expected {WHOLE}"),
    ("train: {epochs: [1]}", 17, f"train.epochs: found [1]; expected {WHOLE}"),
    ("train: {epochs: {a: 1}}", 17, f"train.epochs: found {{'a': 1}}; expected {WHOLE}"),
    ("train: {learning_rate: fast}", 24, "train.learning_rate: found 'fast'; expected a number above 0 and below 10"),
    ("train: {learning_rate: .nan}", 24, "train.learning_rate: found nan; expected a number above 0 and below 10"),
    ("train: {learning_rate: 0}", 24, "train.learning_rate: found 0; expected a number above 0 and below 10"),
    ("train: {weight_decay: 2}", 23, "train.weight_decay: found 2; expected a number from 0 to 1"),
    ("train: {warmup: 1.0}", 17, f"train.warmup: found 1.0; expected {WARMUP}"),
    ("train: {warmup: -1}", 17, f"train.warmup: found -1; expected {WARMUP}"),
    (
        "train: {schedule: linaer}",
        19,
        "train.schedule: found 'linaer'; expected 'linear', 'cosine' or 'constant'; did you mean linear?",
    ),
    (
        "train: {class_weights: balance}",
        24,
        f"train.class_weights: found 'balance'; expected {WEIGHTS}; did you mean balanced?",
    ),
    (
        "train: {class_weights: {a: 0}}",
        28,
        f"train.class_weights.a: found 0; expected {WEIGHTS}",
    ),
    (
        "train: {micro_batch_tokens: 100}",
        29,
        "train.micro_batch_tokens: found 100; expected at least data.max_length, which is 128: "
        "the longest text must fit",
    ),
    ("evaluate: {every: 0}", 19, f"evaluate.every: found 0; expected {EVERY}"),
    (
        "evaluate: {every: epochs}",
        19,
        f"evaluate.every: found 'epochs'; expected {EVERY}; did you mean epoch?",
    ),
    ("evaluate: {metrics: []}", 21, f"evaluate.metrics: found []; expected {METRICS}"),
    ("evaluate: {metrics: f1}", 21, f"evaluate.metrics: found 'f1'; expected {METRICS}"),
    (
        "evaluate: {metrics: [accuracy, f1_marco]}",
        32,
        f"evaluate.metrics[1]: found 'f1_marco'; expected {METRICS}; did you mean f1_macro?",
    ),
    (
        "evaluate: {best: f1_macro}",
        18,
        "evaluate.best: found 'f1_macro'; expected 'loss' or one of evaluate.metrics, "
        "which are accuracy, f1, precision, recall",
    ),
    (
        "evaluate: {best: f1_marco}",
        18,
        "evaluate.best: found 'f1_marco'; expected one of evaluate.metrics, or 'loss'; did you mean f1_macro?",
    ),
    (
        "evaluate: {patience: 0}",
        22,
        "evaluate.patience: found 0; expected a whole number of evaluations, 1 or more",
    ),
    ("checkpoint: {every: 0.5}", 21, f"checkpoint.every: found 0.5; expected {EVERY}"),
    ("checkpoint: {keep: 0}", 20, f"checkpoint.keep: found 0; expected {WHOLE}"),
    ("model: bert", 8, "model: found 'bert'; expected a mapping"),
    ("model: {nmae: bert}", 9, "model.nmae: unknown key; did you mean name?"),
    ("model: {dropout: 1}", 18, "model.dropout: found 1; expected a number from 0 up to, not including, 1"),
    (
        "model: {scratch: {hidden: 100, heads: 3}}",
        39,
        "model.scratch.heads: found 3; expected a divisor of model.scratch.hidden, which is 100",
    ),
    ("model: {scratch: {layer: 3}}", 19, "model.scratch.layer: unknown key; did you mean layers?"),
    ("seed: -1", 7, "seed: found -1; expected a whole number from 0 to 4294967295"),
    (
        "hardware: 3",
        11,
        "hardware: found 3; expected a profile's name, a profile's path, 'default' or 'auto'",
    ),
    ("name: b", 1, "name: this key stands twice, first at line 1; keep one"),
    ("<<: {name: b}", 1, "merge keys (<<) are not used in recipes; write `extends: FILE` instead"),
    ("extends: [a.yaml]", 10, "extends: found ['a.yaml']; expected one recipe's path"),
    ("extends: nope.yaml", 10, "extends: found 'nope.yaml', but there is no file nope.yaml"),
    ("? [a, b]", 3, "found a list or mapping as a key; expected a plain key"),
    ("train: {epochs: !foo 3}", 17, "found the tag !foo; recipes use no tags"),
    ("train: !foo {epochs: 3}", 8, "found the tag !foo; recipes use no tags"),
    (
        "evaluate: {metrics: !foo [f1]}",
        21,
        "found the tag !foo; recipes use no tags",
    ),
]


@pytest.mark.parametrize(("line", "column", "message"), BROKEN_LINES, ids=lambda value: str(value)[:40])
def test_broken_line(line, column, message):
    said = refusal(BASE + line + "\n")
    expected = f"r.yaml:4:{column}  {message}\n    {line}\n    {' ' * (column - 1)}^"
    if "the tag" in message:  # what stands under a tag may be wrong besides
        assert said.startswith(expected)
    else:
        assert said == expected


BROKEN_OVERRIDES = [  # the override, the message
    ("train.epochs", "expected key=value, such as train.epochs=5, or ~key to reset it"),
    ("=3", "expected key=value, such as train.epochs=5, or ~key to reset it"),
    ("a..b=3", "expected key=value, such as train.epochs=5, or ~key to reset it"),
    ("~", "expected key=value, such as train.epochs=5, or ~key to reset it"),
    ("trian.epochs=3", "trian: unknown key; did you mean train?"),
    ("~trian", "trian: unknown key; did you mean train?"),
    ("~trian.epochs", "trian: unknown key; did you mean train?"),
    ("~train.epoch", "train.epoch: unknown key; did you mean epochs?"),
    ("extends=b.yaml", f"extends: unknown key; expected one of {TOP}"),
    ("name=", "name: required, but not given; expected a short name"),
    ("name=''", "name: found ''; expected a short name"),
    ("output=''", "output: found ''; expected a folder"),
    ("data.train=''", f"data.train: found ''; expected {FILES}"),
    ("train=3", "train: found 3; expected a mapping"),
    ("data=[a]", "data: found ['a']; expected a mapping"),
    ("data.train=3", f"data.train: found 3; expected {FILES}"),
    ("data.train=[]", f"data.train: found []; expected {FILES}"),
    ("data.train=[3]", f"data.train[0]: found 3; expected {FILES}"),
    (
        "data.train={hub: org/name}",
        "data.train.split: required, but not given; expected a split's name such as 'train'",
    ),
    ("data.train={hub: org/name, split: a, splt: b}", "data.train.splt: unknown key; did you mean split?"),
    (
        "data.validation=1.5",
        f"data.validation: found 1.5; expected {FRACTION}",
    ),
    (
        "data.validation=true",
        f"data.validation: found True; expected {FRACTION}",
    ),
    (
        "data.text=[a, b, c]",
        "data.text: found ['a', 'b', 'c']; expected a column's name, or a list of two for text pairs",
    ),
    ("data.text=[a, 3]", "data.text[1]: found 3; expected a column's name, or a list of two for text pairs"),
    ("data.text=label", "data.label: found the column of data.text; expected another one"),
    ("data.text=[a, label]", "data.label: found a column that data.text names too; expected another one"),
    ("data.labels=3", f"data.labels: found 3; expected {LABELS}"),
    ("data.labels=[a, a]", "data.labels: class name 'a' stands twice; expected distinct names"),
    ("data.labels={0: a, 1: a}", "data.labels: class name 'a' stands twice; expected distinct names"),
    ("data.invalid=dorp", "data.invalid: found 'dorp'; expected 'error' or 'drop'; did you mean drop?"),
    ("data.max_length=7", "data.max_length: found 7; expected a whole number of tokens, 8 or more"),
    (
        "data.max_length=8000",
        "train.micro_batch_tokens: found 4096; expected at least data.max_length, which is 8000: "
        "the longest text must fit",
    ),
    (
        "name=[1",
        "name: not readable as YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'",
    ),
    ("name=*x", "name: found the alias *x; write the value out instead"),
    ("name=\t3", "name: not readable as YAML: found a tab; YAML is indented with spaces only"),
    ("name=a: b: c", "name: not readable as YAML: mapping values are not allowed here"),
    ("name=\x00", "name: found a control character that YAML does not allow; delete it"),
    ("name={<<: {a: b}}", "name: merge keys (<<) are not used in recipes; write `extends: FILE` instead"),
]


@pytest.mark.parametrize(("override", "message"), BROKEN_OVERRIDES, ids=lambda value: str(value)[:40])
def test_broken_override(override, message):
    said = refusal(BASE, override)
    expected = f"override {override!r}  {message}"
    if "<<" in override:  # what is left of the value may be wrong besides
        assert said.startswith(expected)
    else:
        assert said == expected


def test_tag_under_an_override_is_refused():
    for value in (
        "!!bool maybe",
        "!!null x",
        "!!int abc",
        "!!int 0x",
        "!!float abc",
        "!!set {a}",
        "!x {a: b}",
    ):
        assert "tag" in refusal(BASE, f"train.max_updates={value}"), value


def test_key_twice_in_an_override():
    assert refusal(BASE, "data.labels={a: x, b: y, a: z}") == (
        "override 'data.labels={a: x, b: y, a: z}'  data.labels.a: this key stands twice; keep one"
    )


@pytest.mark.parametrize("key", ["1", "1.5", "true", "~"])
def test_key_that_is_no_text_is_named_where_it_stands(key):
    assert refusal(BASE + f"{key}: 3\n").startswith("r.yaml:4:1  ")
    assert refusal(BASE + f"train: {{{key}: 3}}\n").startswith("r.yaml:4:9  ")


def test_misspelt_hub_is_an_unknown_key():
    said = refusal(BASE, "data.train={Hub: org/name, split: train}")
    assert "data.train.Hub: unknown key; did you mean hub?" in said
    assert "data.train.hub: required, but not given; expected a hub id such as 'org/name'" in said


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.labels={0: a}", "data.labels: found {0: 'a'}; expected two or more classes: a mapping"),
        ("data.labels={1.5: a, 2: b}", "data.labels: found {1.5: 'a', 2: 'b'}; expected two or more classes"),
        ("train.learning_rate=10", "found 10; expected a number above 0 and below 10"),
    ],
)
def test_what_was_found_is_shown_beside_what_is_expected(override, message):
    assert message in refusal(BASE, override)


def test_infinite_weight_is_refused():
    assert refusal(BASE, "train.class_weights={a: .inf}") == (
        f"override 'train.class_weights={{a: .inf}}'  train.class_weights.a: found inf; expected {WEIGHTS}"
    )


def test_class_name_weights_and_classes_must_agree():
    said = refusal(BASE, "data.labels=[a, b]", "train.class_weights={a: 1, c: 2}")
    assert said == (
        "override 'train.class_weights={a: 1, c: 2}'  train.class_weights: found weights for a, c; "
        "expected one for each class: a, b"
    )


def test_same_label_value_twice_is_refused():
    assert "data.labels" in refusal(BASE, "data.labels={1: a, '1': b}")


def test_seed_fits_what_numpy_takes():
    assert "seed: found 4294967296" in refusal(BASE + "seed: 4294967296\n")


BROKEN_FILES = [  # a whole file, the message
    (b"\xff\xfe", "r.yaml  not UTF-8 (byte 1); save the recipe as UTF-8"),
    (b"name: \xc4", "r.yaml  not UTF-8 (byte 7); save the recipe as UTF-8"),
    ("- a\n", "r.yaml:1:1  found no mapping; expected `key: value` lines\n    - a\n    ^"),
    ("a\n", "r.yaml:1:1  found no mapping; expected `key: value` lines\n    a\n    ^"),
    (
        "train:\n\tepochs: 3\n",
        "r.yaml:2:1  not readable as YAML: found a tab; YAML is indented with spaces only\n    \tepochs: 3\n    ^",
    ),
    (
        "a: &x 1\nb: *x\n",
        "r.yaml:2:4  found the alias *x; write the value out instead\n    b: *x\n       ^",
    ),
    (
        "a: 1\nb: \x01\n",
        "r.yaml:2:4  found a control character that YAML does not allow; delete it\n    b: \x01\n       ^",
    ),
    (
        "a: 1\n---\nb: 2\n",
        "r.yaml:2:1  not readable as YAML: expected a single document in the stream "
        "but found another document\n    ---\n    ^",
    ),
    (
        "a: b: c\n",
        "r.yaml:1:5  not readable as YAML: mapping values are not allowed here\n    a: b: c\n        ^",
    ),
]


@pytest.mark.parametrize(("content", "message"), BROKEN_FILES, ids=lambda value: repr(value)[:30])
def test_broken_file(content, message):
    assert refusal(content) == message


def test_empty_file_lacks_all_that_is_required():
    said = refusal("").splitlines()
    assert [line.split("  ")[1].split(":")[0] for line in said] == ["name", "output", "data"]


def test_caret_stands_right_behind_tabs():
    said = refusal("name: a\noutput: o\ndata: {train: 'a\tb', txt: c}\n").splitlines()
    assert said[1:] == ["    data: {train: 'a\tb', txt: c}", f"{' ' * 20}\t    ^"]


# All at once, in order


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    said = refusal(
        "train:\n  epochs: no\n  batchsize: 3\nname: a\nname: b\noutput: o\n"
        "data:\n  train: a.csv\n  invalid: maybe\nseed: x\nzzz: 1\n",
        "train.warmup=2.5",
        "checkpoint.keep=0",
    )
    places = [line.split("  ")[0] for line in said.splitlines() if not line.startswith("    ")]
    assert places == [
        "override 'train.warmup=2.5'",
        "override 'checkpoint.keep=0'",
        "r.yaml:2:11",
        "r.yaml:3:3",
        "r.yaml:5:1",
        "r.yaml:9:12",
        "r.yaml:10:7",
        "r.yaml:11:1",
    ]


def test_mistakes_on_one_line_are_told_by_column():
    said = refusal(BASE + "train: {foo: 1, epochs: x}\n")
    assert said.index("r.yaml:4:9 ") < said.index("r.yaml:4:25 ")


def test_unreadable_overrides_and_rules_are_told_together():
    said = refusal(BASE, "nonsense", "evaluate.best=recall_macro")
    assert "override 'nonsense'  expected key=value" in said
    assert "evaluate.best: found 'recall_macro'" in said


def test_problems_carry_place_and_key():
    with pytest.raises(RecipeError) as caught:
        load(BASE + "train: {epochs: 0}\n")
    (problem,) = caught.value.problems
    assert (problem.origin.source, problem.origin.line, problem.origin.column) == ("r.yaml", 4, 17)
    assert problem.key == "train.epochs"


# Whatever is written

FRAGMENTS = [
    *(
        "name",
        "output",
        "data",
        "train",
        "labels",
        "hub",
        "extends",
        "epochs",
        "epoch",
        "a.csv",
        "r.yaml",
        "~x/y",
    ),
    *(
        ": ",
        ":",
        "- ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "# ",
        "'",
        '"',
        "|",
        ">",
    ),
    *(
        "!!int ",
        "!!float ",
        "!!str ",
        "!!set ",
        "!!binary ",
        "!x ",
        "&a ",
        "*a",
        "<<",
        "%YAML 1.2\n",
        "---\n",
        "...\n",
    ),
    *(
        "1",
        "0x",
        "0x1f",
        "0o7",
        "1e5",
        ".inf",
        ".nan",
        "-",
        "true",
        "null",
        "~",
        "\\x00",
        "\\ud800",
        "\\U00110000",
    ),
    *("é", "\u2028", "\x85", "\ufeff", "😀", "\x00", "."),
]
texts = st.text() | st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=25).map("".join)
thorough = settings(max_examples=250, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module")
def scratch_file(tmp_path_factory):
    return tmp_path_factory.mktemp("any") / "r.yaml"


def recipe_or_reason(path, *overrides):
    try:
        return load_recipe(path, overrides)
    except RecipeError as error:
        return str(error) if error.problems else ""


@thorough
@given(texts | texts.map(lambda text: BASE + text) | st.binary(max_size=60))
@example(BASE + "seed: !!int abc\n")
@example(BASE + "seed: !!int 0x\n")
@example(BASE + "seed: !!float abc\n")
@example(BASE + 'extends: "a\\0b"\n')
@example(BASE + f"extends: {'a' * 5000}\n")
@example(BASE + "extends: ~no-such-user/x\n")
@example('name: "\\U00110000"\n')
@example('"\\ud800": 3\n')
@example("a: " + "[" * 2000)
@example("- " * 2000)
@example(BASE + "? \n: 3\n")
@example(BASE + "1: 2\ntrue: 3\n")
@example(BASE + "train: {str: 1, Hub: 2}\n")
@example(BASE + f"seed: {'9' * 5000}\n")
@example("%YAML 9.9\n---\na: b\n")
def test_any_file_is_a_recipe_or_a_recipe_error(scratch_file, content):
    scratch_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert recipe_or_reason(scratch_file)


keys = st.sampled_from(["name", "train.epochs", "data", "data.train", "data.labels", "evaluate.metrics", "extends"])


@thorough
@given(texts | st.builds("{}={}".format, keys, texts) | st.builds("data.labels.{}={}".format, texts, texts))
@example("train.epochs=!!int abc")
@example("9" * 5000 + "=1")
@example(".".join(["a"] * 3000) + "=1")
@example('name="\\U00110000"')
@example("data.train=\ud800")
@example("\ud800=1")
@example('data={"\\ud800": 1}')
@example('data.train="a\\0b"')
@example('model.name="a\\0b"')
@example("data.train=~no-such-user/x")
@example("data.labels.1.5=a")
@example("train.epochs=" + "[" * 2000)
@example("~" * 5)
def test_any_override_is_taken_or_a_recipe_error(scratch_file, override):
    scratch_file.write_text(BASE)
    assert recipe_or_reason(scratch_file, override)


def test_recipe_path_with_an_unknown_home():
    with pytest.raises(RecipeError):
        load_recipe("~no-such-user/r.yaml")


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


@thorough
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
    scratch_file.write_text(BASE)
    base = load_recipe(scratch_file)
    data = base.data.model_copy(update={"labels": {0: name, 1: f"not {name}"}})
    recipe = base.model_copy(update={"name": name, "data": data})
    scratch_file.write_text(recipe_to_yaml(recipe), encoding="utf-8")
    assert load_recipe(scratch_file) == recipe


# Quick and quiet

SLOW = ("torch", "accelerate", "transformers", "datasets", "sklearn", "evaluate")


def test_wrong_recipe_is_refused_before_anything_slow_is_imported(tmp_path):
    write(BASE + "train: {epoch: 3}\n", "wrong.yaml")
    code = (
        "import sys; from accel_cls.train import main; status = main(['wrong.yaml']); "
        f"print(sorted(set(sys.modules) & set({SLOW!r}))); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]"
    assert done.returncode == 2


def test_command_tells_a_mistake_without_a_traceback(tmp_path):
    write(BASE + "train: {epoch: 3}\n", "wrong.yaml")
    command = [sys.executable, "-m", "accel_cls.train", "wrong.yaml", "seed=x"]
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "\noverride 'seed=x'  seed: found 'x'; expected a whole number from 0 to 4294967295\n"
        "wrong.yaml:4:9  train.epoch: unknown key; did you mean epochs?\n"
        "    train: {epoch: 3}\n            ^\n"
    )
