"""Predicting keeps what the input has, names its own beside it, scores what has labels, and shows the likeliest."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from conftest import command, train, write_recipe
from sklearn.metrics import f1_score

from accel_cls.data.reading import read_file
from accel_cls.data.separated import FileFormat
from accel_cls.predict import main as predict


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on two classes, called by other names than the data has."""
    folder = tmp_path_factory.mktemp("columns")
    tiny.write_model(folder / "model")
    tiny.write_texts(folder / "texts.csv", 80, (3, 5))
    data = "{train: texts.csv, labels: {neg: BAD, pos: GOOD}, max_length: 16}"
    write_recipe(folder, data=data, model="{name: ./model}")
    done = train(folder, "train.max_updates=6")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder to work in, with the run in it."""
    (tmp_path / "run").symlink_to(trained / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classify(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[list[dict], str]:
    """The JSON lines that are printed, and what is told."""
    assert predict(["run", *arguments]) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    return [json.loads(line) for line in said.out.splitlines()], said.err


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    assert predict(["run", *arguments]) == 2
    return capsys.readouterr().err


def read(name: str, **options) -> list[list[str]]:
    with open(name, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, **options))


OURS = ["predicted", "probability", "p(BAD)", "p(GOOD)"]


# Columns


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_all_columns_are_kept_in_their_order_with_their_texts(here: Path, capsys, ending: str) -> None:
    rows = [
        [",id", "amount", "text", "", "note"],
        ["007", "-12.50", "good food", "x", "NA"],
        ["8", "", "bad", "", "…"],
    ]
    separator = "," if ending == "csv" else "\t"
    with open(f"in.{ending}", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    classify(capsys, "--file", f"in.{ending}", "--out", f"out.{ending}")
    found = read(f"out.{ending}", delimiter=separator)
    assert [row[:5] for row in found] == rows
    assert found[0][5:] == OURS
    assert all(row[5] in ("BAD", "GOOD") for row in found[1:])


def test_columns_without_a_name_and_of_one_name_are_kept(here: Path, capsys) -> None:
    Path("in.csv").write_text(",a,text,a\n0,x,good,y\n", encoding="utf-8")
    classify(capsys, "--file", "in.csv", "--out", "out.csv")
    assert read("out.csv")[0][:4] == ["", "a", "text", "a"]
    assert read("out.csv")[1][:4] == ["0", "x", "good", "y"]
    (line,), _ = classify(capsys, "--file", "in.csv")
    assert [*line.items()][:4] == [("", "0"), ("a", "x"), ("text", "good"), ("a.1", "y")]


def test_json_is_kept_as_it_is_and_as_cells_by_its_paths(here: Path, capsys) -> None:
    records = [
        {"id": 7, "data": {"text": "good food", "tags": ["a", "b"]}, "ok": True, "half": "x\ud83d"},
        {"id": None, "data": {"text": "bad"}, "extra": 1.5},
    ]
    Path("in.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    lines, _ = classify(capsys, "--file", "in.jsonl", "--column", "data.text")
    records[0]["half"] = "x\ufffd"
    assert [
        {k: v for k, v in line.items() if k in record} for line, record in zip(lines, records, strict=True)
    ] == records
    assert [*lines[0]][4:] == ["label", "probability", "probabilities"]
    Path("in.json").write_text(json.dumps(records), encoding="utf-8")
    classify(capsys, "--file", "in.json", "--column", "data.text", "--out", "out.csv")
    header, first, second = read("out.csv")
    assert header[:6] == ["id", "data.text", "data.tags", "ok", "half", "extra"]
    assert first[:6] == ["7", "good food", '["a", "b"]', "true", "x\ufffd", ""]
    assert second[:6] == ["", "bad", "", "", "", "1.5"]


def test_parquet_is_kept(here: Path, capsys) -> None:
    frame = pd.DataFrame({"id": [1, 2], "text": ["good", "bad"], "at": pd.to_datetime(["2026-01-02", None])})
    frame.to_parquet("in.parquet", index=False)
    lines, _ = classify(capsys, "--file", "in.parquet")
    assert [(line["id"], line["text"], line["at"]) for line in lines] == [
        (1, "good", "2026-01-02 00:00:00"),
        (2, "bad", None),
    ]
    classify(capsys, "--file", "in.parquet", "--out", "out.csv")
    assert read("out.csv")[1][:3] == ["1", "good", "2026-01-02 00:00:00"]


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_packed_file_and_marks_within_it(here: Path, capsys, name: str) -> None:
    texts = {
        "in.csv": "id,text,label\n1,good,pos\n\ufeff2,bad,\ufeffneg\n",
        "in.jsonl": '{"id": "1", "text": "good", "label": "pos"}\n\ufeff{"id": "2", "text": "bad", "label": "neg"}\n',
    }
    Path(f"{name}.gz").write_bytes(gzip.compress(("\ufeff" + texts[name]).encode()))
    lines, told = classify(capsys, "--file", f"{name}.gz")
    assert [line["id"].lstrip("\ufeff") for line in lines] == ["1", "2"]
    assert [*lines[0]][:3] == ["id", "text", "label"]
    assert "scores by 'label', 2 of 2 rows" in told


def test_file_without_a_header_keeps_the_columns_of_the_training(
    trained: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_model(tmp_path / "model")
    lines = (trained / "texts.csv").read_text(encoding="utf-8").splitlines()[1:]
    (tmp_path / "plain.csv").write_text("\n".join(f"n{i},{line}" for i, line in enumerate(lines)), encoding="utf-8")
    data = "{train: plain.csv, columns: [id, title, class], text: title, label: class, max_length: 16}"
    write_recipe(tmp_path, data=data, model="{name: ./model}")
    assert train(tmp_path, "train.max_updates=2").returncode == 0
    _, told = classify(capsys, "--file", "plain.csv", "--out", "out.csv")
    assert read("out.csv")[0][:4] == ["id", "title", "class", "predicted"]
    assert read("out.csv")[1][0] == "n0"
    assert "scores by 'class', 80 of 80 rows" in told


def test_names_of_ours_that_are_taken_are_renamed_and_told(here: Path, capsys) -> None:
    Path("in.csv").write_text("text,label,top\ngood,pos,x\n", encoding="utf-8")
    (line,), told = classify(capsys, "--file", "in.csv")
    assert (line["label"], line["top"]) == ("pos", "x")
    assert line["model_label"] in ("BAD", "GOOD")
    assert "these are called: model_label for label" in told
    _, told = classify(capsys, "--file", "in.csv", "--out", "one.csv")
    assert "called" not in told
    for before, after in (("one.csv", "two.csv"), ("two.csv", "three.csv")):
        _, told = classify(capsys, "--file", before, "--out", after)
        assert "model_predicted for predicted" in told or "model_model_predicted for predicted" in told
    header = read("three.csv")[0]
    assert header == [
        "text",
        "label",
        "top",
        *OURS,
        *(f"model_{n}" for n in OURS),
        *(f"model_model_{n}" for n in OURS),
    ]
    assert len({*header}) == len(header)


def test_long_file_keeps_its_rows_together(here: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("accel_cls.inference.input.CHUNK", 7)
    monkeypatch.setattr("accel_cls.inference.classifier.CHUNK", 5)
    monkeypatch.setattr("accel_cls.data.rows._BATCH", 3)
    texts = [f"good {'food ' * (i % 5)}{i}" for i in range(40)]
    pd.DataFrame({"number": range(40), "text": texts}).to_parquet("in.parquet")
    lines, _ = classify(capsys, "--file", "in.parquet")
    assert [(line["number"], line["text"]) for line in lines] == [*enumerate(texts)]


def test_file_that_changes_while_it_is_read_is_told(here: Path, capsys, monkeypatch) -> None:
    from accel_cls.inference import input as reading

    Path("in.csv").write_text("text\ngood\nbad\n", encoding="utf-8")
    real = reading.open_rows
    for content in ("text\ngood\n", "text\ngood\nbad\nbad\n"):

        def change(path, written, content=content):
            path.write_text(content, encoding="utf-8")
            return real(path, written)

        monkeypatch.setattr(reading, "open_rows", change)
        assert "in.csv: has changed while it was read" in refused(capsys, "--file", "in.csv", "--out", "out.csv")
        assert not Path("out.csv").exists()
        Path("in.csv").write_text("text\ngood\nbad\n", encoding="utf-8")


def test_column_that_is_not_there_names_those_that_are_and_the_option(here: Path, capsys) -> None:
    Path("in.csv").write_text("id,texts\n1,good\n", encoding="utf-8")
    assert refused(capsys, "--file", "in.csv") == (
        "in.csv: there is no column 'text'; did you mean texts? It has 'id', 'texts'; name the text's column with "
        "--column\n"
    )


def test_stated_encoding_is_that_of_the_file(here: Path, capsys) -> None:
    Path("in.csv").write_bytes("text,note\ngood,Łódź\n".encode("cp1250"))
    (line,), _ = classify(capsys, "--file", "in.csv", "--encoding", "cp1250")
    assert line["note"] == "Łódź"
    assert "line 2 is not utf-8" in refused(capsys, "--file", "in.csv", "--encoding", "utf-8")
    assert "--encoding: found 'cp12500'; expected" in refused(capsys, "--file", "in.csv", "--encoding", "cp12500")


# Scores


def test_scores_are_those_of_the_predictions(here: Path, trained: Path, capsys) -> None:
    lines, told = classify(capsys, "--file", str(trained / "texts.csv"))
    names = {"neg": "BAD", "pos": "GOOD"}
    true, found = [names[line["label"]] for line in lines], [line["model_label"] for line in lines]
    accuracy = np.mean([a == b for a, b in zip(true, found, strict=True)])
    macro = f1_score(true, found, average="macro")
    assert f"scores by 'label', 80 of 80 rows: accuracy {accuracy:.4f}  f1_macro {macro:.4f}  f1 " in told
    # The validation rows alone: what the run has written.
    with open("run/predictions.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    results = json.loads(Path("run/results.json").read_text())["scores"]
    pd.DataFrame({"text": [r["text"] for r in rows], "label": [r["label"] for r in rows]}).to_csv("v.csv", index=False)
    _, told = classify(capsys, "--file", "v.csv", "--out", "o.csv")
    for name in ("accuracy", "f1", "precision", "recall"):
        assert f"  {name} {results[name]:.4f}" in told.replace(": ", "  ")


def test_rows_without_a_usable_label_are_left_out_and_counted(here: Path, capsys) -> None:
    rows = ["good,pos", "bad,neg", "bad,", "bad,", "good,other", ",pos"]
    Path("in.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    lines, told = classify(capsys, "--file", "in.csv")
    assert len(lines) == 6
    assert "scores by 'label', 2 of 6 rows: accuracy " in told
    assert "left out: the label is missing in 2 rows\n" in told
    assert "left out: the label 'other' is no class of the model in 1 row\n" in told
    assert "left out: the text is empty in 1 row\n" in told
    assert told.endswith("the model's classes are BAD, GOOD\n")
    Path("in.csv").write_text("text,label\ngood,\n", encoding="utf-8")
    assert "no scores by 'label': none of 1 rows can be scored\n" in classify(capsys, "--file", "in.csv")[1]
    Path("in.csv").write_text("text\ngood\n", encoding="utf-8")
    assert "score" not in classify(capsys, "--file", "in.csv")[1]


def test_ids_that_a_parquet_file_declares_are_scored_by_their_names(here: Path, capsys) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    Dataset.from_dict({"text": ["good", "bad", "fine"], "label": [0, 1, -1]}, features=features).to_parquet(
        "in.parquet"
    )
    Path("in.csv").write_text("text,label\ngood,pos\nbad,neg\nfine,\n", encoding="utf-8")
    by_ids, by_names = (classify(capsys, "--file", name)[1].splitlines()[-2:] for name in ("in.parquet", "in.csv"))
    assert by_ids == by_names
    assert by_ids[0].startswith("scores by 'label', 2 of 3 rows")


# The likeliest


def test_likeliest_classes(here: Path, capsys) -> None:
    Path("in.csv").write_text("text\ngood\n", encoding="utf-8")
    (line,), _ = classify(capsys, "--file", "in.csv", "--top", "2")
    assert [*line] == ["text", "label", "probability", "top"]
    first, second = line["top"]
    assert first == {"label": line["label"], "probability": line["probability"]}
    assert first["probability"] >= second["probability"]
    classify(capsys, "--file", "in.csv", "--top", "2", "--out", "out.csv")
    header, row = read("out.csv")
    assert header == ["text", "predicted", "probability", "label_1", "p_1", "label_2", "p_2"]
    assert row[3:] == [first["label"], f"{first['probability']:.6f}", second["label"], f"{second['probability']:.6f}"]
    assert predict(["run", "--text", "good", "--top", "1"]) == 0
    assert capsys.readouterr().out == f"{first['label']}  {first['probability']:.4f}   " + (
        f"({first['label']} {first['probability']:.4f})   good\n"
    )
    for wrong in ("0", "3", "-1"):
        said = refused(capsys, "--text", "good", "--top", wrong)
        assert said == f"--top: found {wrong}; expected 1 to 2: the model's classes are BAD, GOOD\n"


def test_command_and_module_are_one(here: Path, capsys) -> None:
    both = [
        command(*words, "run", "--text", "good", "--text", "bad", cwd=here)
        for words in (("accel-cls", "predict"), ("python", "-m", "accel_cls.predict"))
    ]
    assert both[0].stdout == both[1].stdout != ""
    assert [one.returncode for one in both] == [0, 0]
    wrong = command("accel-cls", "predict", "run", "--text", "a", "--file", "b", cwd=here)
    assert (wrong.returncode, wrong.stderr) == (2, "--text and --file: give one of the two\n")


def test_tab_separated_output_is_what_is_read(here: Path, capsys) -> None:
    Path("in.tsv").write_text('text\tnote\n"quoted" food\t=1+1\n', encoding="utf-8")
    classify(capsys, "--file", "in.tsv", "--out", "out.tsv")
    assert read_file(Path("out.tsv"), ["note"], FileFormat(), [])["note"] == ["=1+1"]
