"""What is refused, and in which words: the place, what was found, what was expected, the near miss."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import BASE
from conftest import write_file as write
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accel_cls.errors import UserError
from accel_cls.recipe import RecipeError, load_recipe
from accel_cls.recipe.explain import explain
from accel_cls.recipe.keys import all_keys
from accel_cls.recipe.other_names import OTHER_NAMES


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refusal(text, *overrides):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(text), overrides)
    return str(caught.value)


# What is refused, word for word

CASES = yaml.safe_load((Path(__file__).parent / "broken_recipes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.get("add") or case.get("overrides") or "files")[:40])
def test_broken_recipe(case):
    files = case.get("files") or {"r.yaml": BASE + (case["add"] + "\n" if "add" in case else "")}
    for name, text in files.items():
        write(text, name)
    with pytest.raises(RecipeError) as caught:
        load_recipe("r.yaml", case.get("overrides", []))
    assert str(caught.value) == case["said"]


def test_there_are_enough_broken_recipes():
    """One that is taken from the table by mistake would not be missed otherwise."""
    assert len(CASES) >= 260


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


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_what_other_frameworks_call_it(name):
    """The same answer in a file and in an override, under the top and in a section, and by `explain`."""
    meant = OTHER_NAMES[name]
    hint = f"did you mean {meant}?" if meant in all_keys() else meant
    assert meant in all_keys() or " " in meant
    for section in ("", "train", "data", "model"):
        key = f"{section}.{name}" if section else name
        in_file = refusal(
            f"{BASE}{name}: 1\n" if not section else BASE.replace("data: {", f"{section}: {{{name}: 1, ")
        )
        assert f"{key}: unknown key; {hint}" in in_file
        assert refusal(BASE, f"{key}=1") == f"override '{key}=1'  {key}: unknown key; {hint}"
        with pytest.raises(UserError) as caught:
            explain(write(BASE), keys=[key])
        assert str(caught.value) == f"{key!r}: a recipe has no such value; {hint}"


def test_section_of_another_framework():
    assert (
        refusal(BASE, "trainer.epochs=3") == "override 'trainer.epochs=3'  trainer: unknown key; did you mean train?"
    )


def test_misspelt_hub_is_an_unknown_key():
    said = refusal(BASE, "data.train={Hub: org/name, split: train}")
    assert "data.train.Hub: unknown key; did you mean hub?" in said
    assert "data.train.hub: required, but not given; expected a hub id such as 'org/name'" in said


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.labels={0: a}", "data.labels: found {0: a}; expected two or more classes: a mapping"),
        ("data.labels={1.5: a, 2: b}", "data.labels: found {1.5: a, 2: b}; expected two or more classes"),
        ("train.learning_rate=10", "found 10; expected a number above 0 and below 10"),
    ],
)
def test_what_was_found_is_shown_beside_what_is_expected(override, message):
    assert message in refusal(BASE, override)


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


UNPRINTABLE = [  # what a table in YAML can't hold
    (b"\xff\xfe", "r.yaml  not UTF-8 (byte 1); save the recipe as UTF-8"),
    (b"name: \xc4", "r.yaml  not UTF-8 (byte 7); save the recipe as UTF-8"),
    (
        b"a: 1\nb: \x01\n",
        "r.yaml:2:4  found a control character that YAML does not allow; delete it\n    b: \\x01\n       ^",
    ),
]


@pytest.mark.parametrize(("content", "message"), UNPRINTABLE)
def test_broken_bytes(content, message):
    assert refusal(content) == message


def test_control_character_in_an_override():
    assert refusal(BASE, "name=\x00") == (
        "override 'name=\\x00'  name: found a control character that YAML does not allow; delete it"
    )


def test_caret_stands_right_behind_chinese():
    said = refusal("name: a\noutput: o\ndata: {train: 评论.csv, txt: c}\n").splitlines()
    assert said == [
        "r.yaml:3:23  data.txt: unknown key; did you mean text?",
        "    data: {train: 评论.csv, txt: c}",
        "    " + " " * 24 + "^",  # 22 characters, two of them two cells wide
    ]


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
        load_recipe(write(BASE + "train: {epochs: 0}\n"))
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
        recipe = load_recipe(path, overrides)
    except RecipeError as error:
        return str(error) if error.problems else ""
    with contextlib.suppress(UserError):  # hardware: a profile that is not there
        assert explain(path, overrides)  # what is right can be explained
    return recipe


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
