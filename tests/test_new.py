"""`accel-cls new`: what it finds in a data file, what it decides, and that its recipe runs."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import BAD, GOOD, cli, command, write_reviews
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accel_cls.authoring.columns import choose_label, choose_text, look_at
from accel_cls.data.corpus import load_corpus
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe, load_recipe
from accel_cls.tasks import task_of

SENTENCES = ["the parcel came late", "very kind people", "cold soup again", "would buy it again", "nobody answered"]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str, encoding: str = "utf-8") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def lines_of(count: int, line: str, labels: tuple[str, ...] = ("yes", "no")) -> str:
    """`line` so often, with {i}, {text} and {label} filled in; texts are all different."""
    return "".join(
        line.format(i=i, text=f"{SENTENCES[i % 5]} {i}", label=labels[i % len(labels)]) + "\n" for i in range(count)
    )


def roles(path: Path) -> tuple[tuple[str, ...], str]:
    table = look_at(path)
    label = choose_label(table.columns).columns[0]
    return choose_text(table.columns, label).columns, label


def new(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[Recipe, str]:
    """The recipe that the command wrote, and what it said."""
    status, out, err = cli(capsys, "new", *arguments)
    assert (status, err) == (0, ""), err
    written = next(line for line in out.splitlines() if line.startswith("wrote ")).split()[1]
    return load_recipe(written), out


# Columns


@pytest.mark.parametrize(
    ("header", "line", "expected"),
    [
        ("label,review", "{label},{text}", (("review",), "label")),
        ("id,created,text,stars,sentiment", "{i},2024-01-0{i},{text},4.5,{label}", (("text",), "sentiment")),
        ("uuid,body,lang,category", "0a1b2c3d4e5f6a7b8c9d{i:04},{text},en,{label}", (("body",), "category")),
        ("评论,标签", "{text},{label}", (("评论",), "标签")),
        ("a,b", "{label},{text}", (("b",), "a")),
        ("question1,question2,same", "{text},{text} or so,{label}", (("question1", "question2"), "same")),
        ("hypothesis,premise,gold_label", "{text},{text} or so,{label}", (("premise", "hypothesis"), "gold_label")),
        ("text_a,text_b,y", "{text},{text} or so,{label}", (("text_a", "text_b"), "y")),
        ("url,title,class", "https://example.org/{i},{text},{label}", (("title",), "class")),
    ],
)
def test_columns_are_found(header: str, line: str, expected: tuple) -> None:
    assert roles(write("a.csv", header + "\n" + lines_of(60, line))) == expected


def test_doubt_is_told() -> None:
    path = write("a.csv", "title,body,priority,queue\n" + lines_of(60, "{text},{text} and more,{label},{label}"))
    table = look_at(path)
    label = choose_label(table.columns)
    assert label.columns == ("queue",)
    text = choose_text(table.columns, "queue")
    assert text.columns == ("body",)
    assert text.others == (("title",), ("title", "body"))


@pytest.mark.parametrize(
    ("name", "line", "separator"),
    [
        ("a.tsv", "{text}\t{label}", None),
        ("a.csv", "{text};{label}", ";"),
        ("a.csv", "{text}|{label}", "|"),
        ("a.txt", "{text}\t{label}", None),
        ("a.txt", "{text},{label}", ","),
    ],
)
def test_separator_and_missing_header_are_found(name: str, line: str, separator: str | None) -> None:
    table = look_at(write(name, lines_of(60, line)))
    assert table.separator == separator
    assert table.header == ["text", "label"]
    assert len(table) == 60


@pytest.mark.parametrize(
    "start",
    [
        ",text,label\n",  # an index without a name, as pandas writes it
        "sep=,\nn,text,label\n",  # Excel's hint to itself
        "n,text,label,,\n",
        "n,In your own words: what could we do better for you next time?,label\n",
        "n,n,text,label\n",
    ],
)
def test_odd_header_is_a_header(start: str) -> None:
    cells = start.splitlines()[-1].count(",")
    line = {2: "{i},{text},{label}", 4: "{i},{text},{label},,", 3: "{i},{i},{text},{label}"}[cells]
    table = look_at(write("a.csv", start + lines_of(60, line)))
    assert table.header is None
    assert len(table) == 60
    assert choose_label(table.columns).columns == ("label",)


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"text": "s", "emotion": "abcdef", "split": "ab"}, "emotion"),
        ({"id": "n", "review": "s", "rating": "12345", "source": "ab"}, "rating"),
        ({"comment": "s", "stars": "12345", "lang": "ab"}, "stars"),
        ({"star_rating": "12345", "verified_purchase": "YN", "review": "s"}, "star_rating"),
        ({"subject": "s", "description": "s", "department": "abcd", "status": "ab"}, "department"),
    ],
)
def test_label_is_not_just_the_column_with_the_fewest_values(columns: dict[str, str], label: str) -> None:
    made = {
        name: [
            f"{SENTENCES[i % 5]} {i}" if kind == "s" else str(i) if kind == "n" else kind[i % len(kind)]
            for i in range(120)
        ]
        for name, kind in columns.items()
    }
    assert choose_label(made).columns == (label,)


def test_header_is_told_from_data() -> None:
    assert look_at(write("a.csv", "words,verdict\n" + lines_of(60, "{text},{label}"))).header is None
    assert look_at(write("a.csv", lines_of(60, "{label},{text}"))).header == ["label", "text"]
    assert look_at(write("a.csv", lines_of(60, "{text},{label},x"))).header == ["column1", "column2", "column3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\n" + lines_of(9, "{text}"), "a.csv: its lines are not cut into two or more cells by a comma,"),
        ("", "a.csv: the file is empty"),
        ("text,label\n", "a.csv: there are no rows in it"),
        ("a,b\n" + lines_of(9, "{text},{text} too"), "no column looks like labels: expected one with 2 to 1000"),
        ("a,b\n" + lines_of(9, "{i},{label}"), "no column looks like texts: expected one with words"),
        ("a,b\n1,2\n3,4,5\n", "a.csv: row 2 has 3 cells, expected 2 (a, b): '3,4,5'"),
    ],
)
def test_what_can_not_be_a_data_set(capsys: pytest.CaptureFixture, content: str, message: str) -> None:
    write("a.csv", content)
    status, out, err = cli(capsys, "new", "a.csv")
    assert (status, out) == (2, "")
    assert err.startswith(message)
    assert not Path("a.yaml").exists()


def test_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv: there is no such data file"):
        look_at(Path("nowhere.csv"))


PIECES = [*'a評1,;|"{}[]: ', "\t", "\n", "\r\n", "text", "label", "0.5", '"text":']
FILES = st.binary(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=60).map(lambda p: "".join(p).encode())


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(["a.csv", "a.tsv", "a.txt", "a.json", "a.jsonl", "a.parquet"]),
    FILES,
)
@example("a.csv", b"a,b\n" + b"x,1\ny,0\n" * 5)
@example("a.csv", b"\n\n")
@example("a.csv", b"a,a\n1,2\n")
@example("a.json", b"[{}]")
@example("a.json", b"[]")
@example("a.jsonl", b'{"text": {"a": 1}, "label": [1]}\n' * 3)
@example("a.csv", b"a,b\n\x00,1\n")
def test_any_file_is_a_table_with_roles_or_a_users_mistake(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        text, label = roles(path)
        assert label not in text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


# Recipes


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


def test_second_file_is_validation(capsys: pytest.CaptureFixture) -> None:
    for name in ("train.tsv", "dev.tsv"):
        write(name, "text\tlabel\n" + lines_of(100, "{text}\t{label}"))
    recipe, said = new(capsys, "train.tsv", "dev.tsv")
    assert recipe.data.validation == str(Path("dev.tsv").absolute())
    assert "validation    dev.tsv, 100 examples" in said


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
    assert new(capsys, "a.csv")[0].data.max_length == 128


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
    done = command("python", "-m", "accel_cls.train", "reviews.yaml", "train.max_updates=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    recipe, said = new(capsys, "reviews.csv", "-o", "tuned.yaml", "--model", "runs/reviews/model")
    assert recipe.model.name == str(tmp_path / "runs/reviews/model")
    assert recipe.model.scratch is None
    assert (recipe.train.learning_rate, recipe.train.batch_size) == (5e-5, 16)
    assert "hidden size 128" in said


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
