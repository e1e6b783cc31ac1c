"""`accel-cls new`: what it decides, and that the recipe that it writes runs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import BAD, GOOD, cli, command, write_reviews
from sentences import SENTENCES, lines_of, write
from sentences import in_empty_folder as in_empty_folder

from accel_cls.data.loading import load_corpus
from accel_cls.recipe import Recipe, load_recipe
from accel_cls.tasks import task_of


def new(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[Recipe, str]:
    """The recipe that the command wrote, and what it said."""
    status, out, err = cli(capsys, "new", *arguments)
    assert (status, err) == (0, ""), err
    written = next(line for line in out.splitlines() if line.startswith("wrote ")).split()[1]
    return load_recipe(written), out


def test_recipe_runs_as_it_is(capsys: pytest.CaptureFixture) -> None:
    write_reviews(Path("reviews.csv"), count=200)
    recipe, said = new(capsys, "reviews.csv")
    assert recipe.data.train == str(Path("reviews.csv").absolute())
    assert (recipe.data.text, recipe.data.label, recipe.data.labels) == ("review", "label", {0: "0", 1: "1"})
    assert "language      Chinese" in said
    done = command("python", "-m", "accel_cls.train", "reviews.yaml", "train.epochs=2", cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    assert json.loads(Path("runs/reviews/results.json").read_text())["updates"] == 10


def test_every_decision_stands_in_the_recipe_with_its_reason(capsys: pytest.CaptureFixture) -> None:
    write("d.csv", "text,label\n" + lines_of(100, "{text},{label}", ("a", "b", "c")))
    new(capsys, "d.csv", "--name", "my run", "-o", "deep/r.yaml")
    text = Path("deep/r.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "# yaml-language-server: $schema=recipe.schema.json"
    assert Path("deep/recipe.schema.json").is_file()
    assert "#   accelerate launch -m accel_cls.train deep/r.yaml" in text
    assert "name: my_run\noutput: runs/my_run\n" in text
    assert "train: ../d.csv" in text or f"train: {Path('d.csv').absolute()}" in text
    assert "  labels: [a, b, c]          # a 34, b 33, c 33" in text
    assert "# 3 different values in 100 rows" in text


def test_numbers_get_steps_that_rare_ngrams_take_less_of(capsys: pytest.CaptureFixture) -> None:
    write("d.csv", "text,label\n" + "".join(f"some text {i},{i / 7}\n" for i in range(300)))
    numbers, _ = new(capsys, "d.csv")
    assert (numbers.task, numbers.train.batch_size, numbers.train.adam_epsilon) == ("regression", 32, 0.01)
    write("e.csv", "text,label\n" + lines_of(300, "{text} {i},{label}"))
    classes, _ = new(capsys, "e.csv")
    assert (classes.task, classes.train.adam_epsilon) == ("single_label", 1e-5)


def test_few_examples_want_a_pretrained_encoder(capsys: pytest.CaptureFixture) -> None:
    for count in (300, 1500):
        write("d.csv", "text,label\n" + lines_of(count, "{text} {i},{label}"))
        _, said = new(capsys, "d.csv", "--force")
        words = "examples are too few to learn a language from: name a pretrained encoder"
        assert (words in said) == (words in Path("d.yaml").read_text(encoding="utf-8")) == (count == 300)
        recipe = load_recipe(Path("d.yaml"))
        assert (recipe.evaluate.every == "end") == (count == 300), "few validation examples choose no epoch"


def test_uneven_classes_are_scored_by_macro_f1_and_adjusted(capsys: pytest.CaptureFixture) -> None:
    """From ten times as many on."""

    def write_uneven(often: int, rare: int) -> None:
        rows = [(f"fine {i}", "often") for i in range(often)] + [(f"late {i}", "rare") for i in range(rare)]
        write("d.csv", "text,label\n" + "\n".join(",".join(row) for row in rows))

    write_uneven(400, 40)
    recipe, said = new(capsys, "d.csv", "--force")
    assert recipe.loss.logit_adjustment == 0.35
    assert recipe.evaluate.best == "f1_macro"
    assert recipe.train.class_weights is None
    assert "uneven        logit_adjustment 0.35: large classes are favoured that much less" in said
    assert "loss:\n  logit_adjustment: 0.35" in Path("d.yaml").read_text(encoding="utf-8")
    write_uneven(400, 41)
    recipe, said = new(capsys, "d.csv", "--force")
    assert recipe.loss.logit_adjustment == 0
    assert recipe.evaluate.best == "accuracy"
    assert "uneven" not in said


def test_second_file_is_validation(capsys: pytest.CaptureFixture) -> None:
    for name in ("train.tsv", "dev.tsv"):
        write(name, "text\tlabel\n" + lines_of(100, "{text}\t{label}"))
    recipe, said = new(capsys, "train.tsv", "dev.tsv")
    assert recipe.data.validation == str(Path("dev.tsv").absolute())
    assert "validation    dev.tsv, 100 examples" in said
    assert recipe.data.test is None


def test_rows_that_are_split_off_are_learned_in_the_end(capsys: pytest.CaptureFixture) -> None:
    write_reviews(Path("a.csv"), count=200)
    write_reviews(Path("b.csv"), count=50, seed=1)
    recipe, said = new(capsys, "a.csv")
    assert recipe.is_refitted
    assert (
        "refit         true: in the end once more, with the validation rows: all 200 examples; twice the time" in said
    )
    recipe, said = new(capsys, "a.csv", "b.csv", "--force")
    assert not recipe.refit, "who gives a file of their own may want to train on it later, or never"
    assert "refit" not in said


def test_test_file_is_read_checked_and_named(capsys: pytest.CaptureFixture) -> None:
    for name in ("train.tsv", "test.tsv"):
        write(name, "text\tlabel\n" + lines_of(100, "{text}\t{label}"))
    recipe, said = new(capsys, "train.tsv", "--test", "test.tsv")
    assert recipe.data.test == str(Path("test.tsv").absolute())
    assert recipe.data.validation == 0.2
    assert "test          test.tsv, 100 examples, scored once at the end" in said


def test_class_names_are_taken_from_a_file_beside_the_data(capsys: pytest.CaptureFixture) -> None:
    write("news.txt", lines_of(100, "{text}\t{label}", ("0", "1", "2")))
    write("class.txt", "sport\nmoney\nfilm")
    recipe, said = new(capsys, "news.txt")
    assert recipe.data.columns == ["text", "label"]
    assert recipe.data.labels == {0: "sport", 1: "money", 2: "film"}
    assert "class names   from class.txt" in said


def test_class_names_are_taken_from_the_file_that_is_given(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(100, "{text},{label}", ("-1", "1")))
    write("names.txt", "NEGATIVE\nPOSITIVE\n")
    recipe, _ = new(capsys, "a.csv", "--classes", "names.txt")
    assert recipe.data.labels == {"-1": "NEGATIVE", 1: "POSITIVE"}
    write("names.txt", "NEGATIVE\n")
    status, _, err = cli(capsys, "new", "a.csv", "--classes", "names.txt", "--force")
    assert (status, err) == (
        2,
        "--classes names.txt: found 1 different names; expected one for each of the 2 classes: -1, 1\n",
    )


def test_names_of_many_classes_are_kept(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(600, "{text},{label}", tuple(map(str, range(60)))))
    assert new(capsys, "a.csv")[0].data.labels is None
    write("names.txt", "".join(f"name {i}\n" for i in range(60)))
    recipe, _ = new(capsys, "a.csv", "--classes", "names.txt", "--force")
    assert recipe.data.labels == {i: f"name {i}" for i in range(60)}


def test_class_names_never_swap_what_has_names(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(60, "{text},{label}", ("neg", "pos")))
    write("order.txt", "pos\nneg\n")
    assert new(capsys, "a.csv", "--classes", "order.txt")[0].data.labels == ["pos", "neg"]
    write("order.txt", "good\nbad\n")
    status, _, err = cli(capsys, "new", "a.csv", "--classes", "order.txt", "--force")
    assert status == 2
    assert "found names for neg, pos, which are names already" in err


@pytest.mark.parametrize(
    ("name", "content", "labels"),
    [
        ("classes.txt", "bad\ngood\n", {0: "bad", 1: "good"}),
        ("labels.txt", "0 negative\n1 positive\n", {0: "negative", 1: "positive"}),
        ("class_notes.txt", "remember row 7\nask about sarcasm\n", {0: "0", 1: "1"}),
    ],
)
def test_only_a_list_of_names_is_taken_for_one(
    capsys: pytest.CaptureFixture, name: str, content: str, labels: dict[int, str]
) -> None:
    write("a.csv", "text,label\n" + lines_of(60, "{text},{label}", ("0", "1")))
    write(name, content)
    assert new(capsys, "a.csv")[0].data.labels == labels


def test_texts_that_repeat_leave_enough_to_split(capsys: pytest.CaptureFixture) -> None:
    commands = ["stop", "halt", "go", "run", "left", "port"]
    write("a.csv", "text,label\n" + "".join(f"{commands[i % 6]},{'abc'[i % 6 // 2]}\n" for i in range(90)))
    recipe, _ = new(capsys, "a.csv")
    assert recipe.data.validation == 0.5
    assert len(load_corpus(recipe, task_of(recipe)).validation) == 45
    write("b.csv", "text,label\nx y,a\nz w,b\n")
    status, _, err = cli(capsys, "new", "b.csv")
    assert (status, err) == (
        2,
        "there are too few different texts (0 in classes of two or more) to split some off for each class; "
        "give a validation file\n",
    )


def test_uneven_classes_are_judged_by_macro_f1(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(200, "{text},{label}", ("a",) * 19 + ("b",)))
    recipe, said = new(capsys, "a.csv")
    assert recipe.evaluate.best == "f1_macro"
    assert "the largest class has 19 times the examples of the smallest" in said


def test_unusable_rows_are_left_out_and_said(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(100, "{text},{label}") + ",yes\nfine,\n")
    recipe, said = new(capsys, "a.csv")
    assert recipe.data.invalid == "drop"
    assert "drop: the text is empty in 1 row: a.csv:101; the label is missing in 1 row: a.csv:102\n" in said
    assert "leaves out 2:" in Path("a.yaml").read_text(encoding="utf-8")


def test_longest_texts_decide_max_length(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(100, "{text} " + "word " * 90 + ",{label}"))
    assert new(capsys, "a.csv")[0].data.max_length == 512, "characters"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_other_formats(capsys: pytest.CaptureFixture, name: str) -> None:
    draw = random.Random(0)
    rows = [{"n": i, "text": f"{draw.choice(GOOD)}{i}", "label": i % 2} for i in range(60)]
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist(rows), name)
    else:
        joined = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        write(name, json.dumps(rows) if name == "a.json" else joined)
    recipe, _ = new(capsys, name)
    assert (recipe.data.text, recipe.data.label) == ("text", "label")


def test_pretrained_model_gets_its_own_settings(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    write_reviews(Path("reviews.csv"))
    new(capsys, "reviews.csv")
    bert = ("model.scratch.architecture=bert", "train.max_updates=1")
    done = command("python", "-m", "accel_cls.train", "reviews.yaml", *bert, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    write_reviews(Path("many.csv"), count=2600)
    recipe, said = new(capsys, "many.csv", "-o", "tuned.yaml", "--model", "runs/reviews/model")
    assert recipe.model.name == str(tmp_path / "runs/reviews/model")
    assert recipe.model.scratch is None
    assert recipe.model.freeze is None
    assert (recipe.train.head_init, recipe.train.batch_size) == ("probe", 16)
    assert recipe.average is not None
    assert (recipe.average.start, recipe.train.label_smoothing) == ("auto", 0)
    assert "hidden size 64" in said
    frozen, said = new(capsys, "many.csv", "-o", "quick.yaml", "--model", "runs/reviews/model", "--quick")
    assert frozen.model.freeze == "encoder"
    assert not frozen.train.model_fields_set
    assert (frozen.average, frozen.refit) == (None, False)
    assert "freeze        encoder: as you said" in said
    few, said = new(capsys, "reviews.csv", "-o", "few.yaml", "--model", "runs/reviews/model")
    assert (few.model.freeze, few.average, few.refit) == (None, None, True)
    assert (few.train.head_init, few.train.epochs, few.evaluate.every) == ("probe", 10, "end")  # 12 updates each
    assert "evaluation    at the end: so few validation examples can't tell one epoch from the next" in said
    done = command("python", "-m", "accel_cls.train", "few.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_quick_recipe_needs_an_encoder(capsys: pytest.CaptureFixture) -> None:
    write_reviews(Path("reviews.csv"))
    status, _, said = cli(capsys, "new", "reviews.csv", "--quick")
    assert status == 2
    assert said == "--quick trains the head of a pretrained encoder; expected --model, too\n"


def test_recipe_that_is_there_is_kept(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(100, "{text},{label}"))
    write("a.yaml", "mine")
    assert (
        cli(capsys, "new", "a.csv")[2] == "a.yaml is there already; give another --out, or replace it with --force\n"
    )
    assert Path("a.yaml").read_text() == "mine"
    write("recipe.schema.json", '{"title": "another schema"}')
    new(capsys, "a.csv", "--force")
    assert Path("recipe.schema.json").read_text() == '{"title": "another schema"}'


def test_recipe_never_takes_the_place_of_its_data(capsys: pytest.CaptureFixture) -> None:
    content = "text,label\n" + lines_of(100, "{text},{label}")
    for name in ("a.csv", "v.csv"):
        write(name, content)
    for name in ("a.csv", "./v.csv"):
        status, _, err = cli(capsys, "new", "a.csv", "v.csv", "--force", "--out", name)
        assert (status, err) == (2, f"--out {Path(name)}: is a data file, and would be replaced; name another one\n")
    assert Path("a.csv").read_text(encoding="utf-8") == Path("v.csv").read_text(encoding="utf-8") == content


def test_columns_that_are_given_count(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "title,body,label,stars\n" + lines_of(100, "{text},{text} and more,{label},{i}", ("a", "b")))
    recipe, _ = new(capsys, "a.csv", "--text", "title", "--text", "body")
    assert recipe.data.text == ["title", "body"]
    assert cli(capsys, "new", "a.csv", "--text", "words", "--force")[2] == (
        "a.csv: there is no column 'words'; it has 'title', 'body', 'label', 'stars'\n"
    )


def test_bad_reviews_are_no_english(capsys: pytest.CaptureFixture) -> None:
    rows = [(f"{BAD[i % 8]}{i}" if i % 4 else f"{SENTENCES[i % 5]} number {i}", i % 2) for i in range(400)]
    write("a.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in sorted(rows)))
    _, said = new(capsys, "a.csv")
    assert "Chinese" in said


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("007", "7"), ("7", "007")),
        (("１", "２"), ("１", "２")),
        (("true", "false"), ("false", "true")),
        (("null", "~"), ("null", "~")),
        (("1.0", "-1"), ("-1", "1")),
        (("a: b", "#"), ("#", "a: b")),
    ],
)
def test_awkward_labels_survive(
    capsys: pytest.CaptureFixture, labels: tuple[str, str], names: tuple[str, str]
) -> None:
    write("a.csv", "text,label\n" + lines_of(60, "{text},{label}", labels))
    recipe, _ = new(capsys, "a.csv")
    corpus = load_corpus(recipe, task_of(recipe))
    assert recipe.data.invalid == "error"  # every row has a label that the recipe knows
    assert corpus.classes.names == names


def test_what_does_not_print_does_not_break_the_recipe(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(60, "{text}\x08,{label}", ("a\x07b", "c\u2028d")))
    recipe, _ = new(capsys, "a.csv")
    assert recipe.data.labels == ["a\x07b", "c\u2028d"]


def test_model_with_few_positions_gets_texts_that_fit(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    write("a.csv", "text,label\n" + lines_of(60, "{text} " + "word " * 90 + ",{label}"))
    new(capsys, "a.csv")
    done = command(
        "python", "-m", "accel_cls.train", "a.yaml", "train.max_updates=1", "data.max_length=64", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert new(capsys, "a.csv", "-o", "b.yaml", "--model", "runs/a/model")[0].data.max_length == 64


def test_one_column_for_both_is_refused(capsys: pytest.CaptureFixture) -> None:
    write("a.csv", "text,label\n" + lines_of(60, "{text},{label}"))
    status, _, err = cli(capsys, "new", "a.csv", "--text", "label", "--label", "label")
    assert (status, err) == (2, "--text and --label: found 'label' for both; expected different columns\n")


def test_awkward_names_survive(capsys: pytest.CaptureFixture) -> None:
    write("my data: 评论 #1.csv", '"a: b","#c"\n' + lines_of(100, "{text},{label}", ("yes", "no")))
    recipe, _ = new(capsys, "my data: 评论 #1.csv")
    assert (recipe.name, recipe.data.text, recipe.data.label) == ("my_data_评论_1", "a: b", "#c")
    assert recipe.data.labels == ["no", "yes"]
    assert yaml.safe_load(Path("my_data_评论_1.yaml").read_text(encoding="utf-8"))["data"]["text"] == "a: b"
