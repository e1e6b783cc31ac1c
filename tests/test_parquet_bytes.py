"""Parquet whose texts and labels are bytes, as some writers leave them: read as the texts that they are."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import tiny
from conftest import cli, command, train, write_recipe
from corpora import alone as alone
from corpora import corpus_of, csv_of, multi, read, refusal
from datasets import Dataset
from sentences import SENTENCES

from accel_cls.recipe import load_recipe

TEXTS = [f"好 {SENTENCES[i % len(SENTENCES)]} {i}" for i in range(60)]
KINDS = [pa.binary(), pa.large_binary(), pa.binary(3), pa.dictionary(pa.int32(), pa.binary()), pa.binary_view()]


def write(labels: pa.Array, name: str = "a.parquet") -> str:
    texts = pa.array([text.encode() for text in TEXTS[: len(labels)]], pa.binary())
    pa.parquet.write_table(pa.table({"text": texts, "label": labels}), name)
    return name


def labels(kind: pa.DataType) -> pa.Array:
    values = pa.array([b"neg", b"pos"] * 30, pa.binary())
    return values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_labels_are_texts_whatever_the_column_is(kind: pa.DataType) -> None:
    path = write(labels(kind))
    assert read(path) == (TEXTS, ["neg", "pos"] * 30)
    Path("v.csv").write_text(csv_of([("x", "neg"), ("y", "pos")]), encoding="utf-8")
    assert len(corpus_of(path, validation="v.csv").validation) == 2


def test_several_labels() -> None:
    lists = pa.array([[b"a", b"b"], [b"b"], [], [b"a"]], pa.list_(pa.binary()))
    assert multi(write(lists)).classes.names == ("a", "b")
    assert multi(write(pa.array([b"a,b", b"b", b"", b"a"], pa.binary()))).classes.names == ("a", "b")


@pytest.mark.parametrize("column", ["text", "label"])
@pytest.mark.parametrize("encoded", [False, True])
def test_bytes_that_are_no_utf_8_are_refused(column: str, encoded: bool) -> None:
    columns = {"text": pa.array([b"a", b"b"]), "label": pa.array([b"x", b"y"])}
    found = pa.array(["好".encode("gbk"), b"b"])
    columns[column] = found.dictionary_encode() if encoded else found
    pa.parquet.write_table(pa.table(columns), "a.parquet")
    assert f"a.parquet: the column '{column}' holds bytes that are not UTF-8" in refusal("a.parquet")


def test_hub_data_set() -> None:
    Path("mirror/data").mkdir(parents=True)
    content = {"text": [text.encode() for text in TEXTS], "label": [b"neg", b"pos"] * 30}
    Dataset.from_dict(content).to_parquet("mirror/data/train-00000-of-00001.parquet")
    assert read({"hub": str(Path("mirror").resolve()), "split": "train"}) == (TEXTS, ["neg", "pos"] * 30)


def test_new_shows_texts_and_leaves_other_bytes_alone(capsys: pytest.CaptureFixture) -> None:
    table = pyarrow.parquet.read_table(write(labels(pa.binary())))
    table = table.append_column("image", pa.array([b"\x89PNG\xff"] * 60))
    pa.parquet.write_table(table, "a.parquet")
    status, _, err = cli(capsys, "new", "a.parquet")
    assert (status, err) == (0, "")
    recipe = load_recipe("a.yaml")
    assert (recipe.data.text, recipe.data.labels) == ("text", ["neg", "pos"])


def test_predict_scores_them(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model")
    pa.parquet.write_table(pa.table({"text": TEXTS, "label": labels(pa.binary())}), "a.parquet")
    write_recipe(tmp_path, data="{train: a.parquet, max_length: 16}", model="{name: ./model}")
    done = train(tmp_path, "train.max_updates=1")
    assert done.returncode == 0, done.stderr
    done = command("python", "-m", "accel_cls.predict", "run", "--file", "a.parquet", cwd=tmp_path)
    assert "scores by 'label', 60 of 60 rows" in done.stderr
    first = json.loads(done.stdout.splitlines()[0])
    assert (first["text"], first["label"], [*first["probabilities"]]) == (TEXTS[0], "neg", ["neg", "pos"])
