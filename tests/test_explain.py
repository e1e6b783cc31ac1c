"""`accel-cls explain` and the JSON Schema: every value with its origin, every key with its help."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import ROOT, cli

from accel_cls.recipe import RecipeError, load_recipe
from accel_cls.recipe.explain import explain
from accel_cls.recipe.json_schema import json_schema, schema_text
from accel_cls.recipe.keys import all_keys


@pytest.fixture(autouse=True)
def _recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("top.yaml").write_text(
        "name: top\noutput: runs/top\ndata: {train: a.csv}\n"
        "train:\n  epochs: 6\n  warmup: 0.2\n  schedule: cosine\n"
        "model: {scratch: {layers: 4}}\n"
    )
    Path("r.yaml").write_text("extends: top.yaml\nname: r\ntrain:\n  epochs: 4\n  schedule: null\n")


def origins(*overrides: str) -> dict[str, tuple[object, str]]:
    return {s.key: (s.value, s.origin) for s in explain("r.yaml", overrides)}


def test_every_key_is_explained_once() -> None:
    keys = [s.key for s in explain("r.yaml")]
    # A section that is not there has one value, null.
    optional = r"data\.fold|data\.windows|model\.lora|pretrain|augment|distill|average|decide|repeat|few_shot|search"
    assert keys == [*dict.fromkeys(re.sub(rf"^({optional})\..*", r"\1", key) for key in all_keys())]


def test_origin_of_each_kind() -> None:
    found = origins("train.batch_size=7", "hardware=cpu_multi", "~seed")
    assert found["name"] == ("r", "r.yaml:2:7")
    assert found["train.epochs"] == (4, "r.yaml:4:11")
    assert found["train.warmup"] == (0.2, "top.yaml:6:11")
    assert found["train.schedule"] == ("linear", "default, reset by r.yaml:5:13")
    assert found["train.batch_size"] == (7, "override 'train.batch_size=7'")
    assert found["train.log_every"] == (10, "default")
    assert found["model.scratch.layers"] == (4, "top.yaml:8:27")
    assert found["model.scratch.hidden"] == (128, "default")
    assert found["seed"] == (42, "default, reset by override '~seed'")
    value, origin = found["profile.num_processes"]
    assert value == 2
    assert origin.endswith("accelerate_configs/cpu_multi.yaml:8:16")


def test_what_was_replaced_is_told_latest_first() -> None:
    (setting,) = explain("r.yaml", ["train.epochs=3", "train.epochs=2"], ["train.epochs"])
    assert (setting.value, setting.origin) == (2, "override 'train.epochs=2'")
    assert setting.replaced == ((3, "override 'train.epochs=3'"), (4, "r.yaml:4:11"), (6, "top.yaml:5:11"))


def test_reset_is_told_with_what_it_replaced() -> None:
    (setting,) = explain("r.yaml", ["~train.epochs"], ["train.epochs"])
    assert (setting.value, setting.origin) == (3, "default, reset by override '~train.epochs'")
    assert [value for value, _ in setting.replaced] == [4, 6]
    settings = explain("r.yaml", ["~train"], ["train"])
    assert {setting.origin for setting in settings} == {"default, reset by override '~train'"}
    settings = explain("r.yaml", ["~model.scratch"], ["model.scratch"])
    assert {setting.origin for setting in settings} == {"default, reset by override '~model.scratch'"}


def test_setting_that_changes_nothing_is_told() -> None:
    (setting,) = explain("r.yaml", ["model.name=bert-base-chinese"], ["model.scratch"])
    assert setting.idle == "not used, since model.name is set"


def test_command_for_one_key(capsys: pytest.CaptureFixture) -> None:
    status, out, _ = cli(capsys, "explain", "r.yaml", "train.warmup", "train.warmup=5")
    assert status == 0
    assert out.splitlines() == [
        "train.warmup: 5",
        "  from      override 'train.warmup=5'",
        "  replaces  0.2, top.yaml:6:11",
        "  default   0.1",
        "  takes     a fraction of all updates below 1, or a whole number of updates",
        "  since     at 1.0 the rate would never reach its height; whole numbers count updates",
        "  meaning   the rate rises linearly from 0 over this part of the run; "
        "a fraction leaves one update or more at the full rate",
    ]


def test_command_for_a_section_shows_its_values_and_help(capsys: pytest.CaptureFixture) -> None:
    status, out, _ = cli(capsys, "explain", "r.yaml", "train")
    lines = out.splitlines()
    assert (status, lines[0]) == (0, "train")
    assert len(lines) == 2 + len([key for key in all_keys() if key.startswith("train.")])
    epochs = next(line for line in lines if line.startswith("  epochs"))
    assert epochs.split(None, 2)[:2] == ["epochs", "4"]
    assert "r.yaml:4:11 (before: 6)" in epochs
    assert epochs.endswith("passes over the training examples")


def test_command_with_json(capsys: pytest.CaptureFixture) -> None:
    _, out, _ = cli(capsys, "explain", "r.yaml", "data.train={hub: org/name, split: train}", "--json")
    settings = {setting["key"]: setting for setting in json.loads(out)}
    assert settings["data.train.hub"]["value"] == "org/name"
    assert settings["train.epochs"]["replaced"] == [{"value": 6, "origin": "top.yaml:5:11"}]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("train.epoch", "train.epochs"),
        ("epochs", "train.epochs"),
        ("modle", "model"),
        ("zzz", "see docs/"),
        ("lr", "train.learning_rate"),
        ("extends", "only a file can extend"),
        ("num_train_epochs", "train.epochs"),
        ("bf16", "hardware profile"),
    ],
)
def test_unknown_key_gets_the_nearest(capsys: pytest.CaptureFixture, key: str, hint: str) -> None:
    status, _, err = cli(capsys, "explain", "r.yaml", key)
    assert status == 2
    assert err.startswith(f"{key!r}: a recipe has no such value; ")
    assert hint in err


# The JSON Schema


def valid(text: str) -> bool:
    return jsonschema.Draft7Validator(json_schema()).is_valid(yaml.safe_load(text))


def test_schema_is_one_and_is_fresh() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())
    assert (ROOT / "recipes" / "recipe.schema.json").read_text(encoding="utf-8") == schema_text()


def test_schema_takes_the_shipped_recipes() -> None:
    for path in (ROOT / "recipes").rglob("*.yaml"):
        # PyYAML reads 1e-3 as a text; editors read YAML 1.2, where it is a number.
        text = path.read_text(encoding="utf-8").replace("1e-3", "0.001").replace("1e-8", "1.0e-8")
        numbers = yaml.safe_load(text)
        for key, value in numbers.get("train", {}).items():
            if isinstance(value, str) and value[0].isdigit():
                numbers["train"][key] = float(value)
        errors = [error.message for error in jsonschema.Draft7Validator(json_schema()).iter_errors(numbers)]
        assert errors == [], path


BASE = "name: a\noutput: o\ndata: {train: a.csv}\n"
PIECES = [
    "seed: 1", "seed: null", "seed: -1", "seed: x", "zzz: 1", "hardware: cpu", "hardware: ./mine.yaml", "hardware: 3",
    "train: {epochs: 2}", "train: {epochs: 0}", "train: {epoch: 2}", "train: null", "train: {epochs: null}",
    "train: {warmup: 0.5}", "train: {warmup: 100}", "train: {warmup: 1.5}", "train: {schedule: cosine}",
    "train: {schedule: cos}", "train: {class_weights: balanced}", "train: {class_weights: {a: 2}}",
    "train: {class_weights: {a: 0}}", "train: {class_weights: [1]}", "evaluate: {metrics: [f1], best: f1}",
    "evaluate: {metrics: [f2]}", "evaluate: {metrics: []}", "evaluate: {every: epoch}", "evaluate: {every: 10}",
    "evaluate: {every: 0}", "evaluate: {best: loss}", "model: {name: x}", "model: {scratch: {layers: 1}}",
    "model: {scratch: {layers: 0}}", "model: {scratch: {layer: 1}}", "model: x", "checkpoint: {keep: 1}",
    "checkpoint: {keep: 0}", "extends: top.yaml", "extends: 3",
]  # fmt: skip
DATA = [
    "train: [a.csv, b.csv]", "train: {hub: org/name, split: train}", "train: {hub: org/name}", "train: []",
    "train: {hub: a, split: b, c: d}", "train: a.csv, validation: 0.5", "train: a.csv, validation: 1.5",
    "train: a.csv, validation: v.csv", "train: a.csv, text: [a, b]", "train: a.csv, text: [a]",
    "train: a.csv, labels: {0: a, 1: b}", "train: a.csv, labels: [a, b]", "train: a.csv, labels: [a]",
    "train: a.csv, labels: {0: 1, 1: b}", "train: a.csv, separator: ;", "train: a.csv, separator: ;;",
    "train: a.csv, max_length: 7", "train: a.csv, truncate: start", "train: a.csv, invalid: skip", "text: a",
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [BASE, "output: o\ndata: {train: a.csv}\n", "extends: top.yaml\n", ""]
    + [BASE + piece + "\n" for piece in PIECES]
    + [f"name: a\noutput: o\ndata: {{{data}}}\n" for data in DATA],
)
def test_schema_takes_what_the_recipe_takes(text: str) -> None:
    """What an editor underlines and what the command refuses is the same, but for rules that span keys."""
    Path("x.yaml").write_text(text)
    try:
        load_recipe("x.yaml")
    except RecipeError:
        taken = False
    else:
        taken = True
    assert valid(text or "{}") == taken


def test_schema_says_meaning_range_and_default() -> None:
    properties = json_schema()["properties"]
    rate = properties["train"]["anyOf"][0]["properties"]["learning_rate"]
    assert rate["description"] == (
        "The schedule's highest rate; 'auto' searches for it on a part of the training examples before the run begins"
        ". Takes: a number above 0 and below 10, or 'auto'. Default: 2e-05."
    )
    assert rate["default"] == 2e-5
    assert {
        "enum": [
            "auto",
            "default",
            "cpu",
            "cpu_multi",
            "deepspeed",
            "fsdp",
            "gpu",
            "mps",
            "multi_gpu",
            "multi_node",
            "tpu",
        ]
    } in properties["hardware"]["anyOf"]


def test_command_prints_and_writes_the_schema(capsys: pytest.CaptureFixture) -> None:
    assert cli(capsys, "schema") == (0, schema_text(), "")
    assert cli(capsys, "schema", "--out", "deep/s.json")[0] == 0
    assert Path("deep/s.json").read_text(encoding="utf-8") == schema_text()
