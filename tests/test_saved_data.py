"""Folders that datasets' save_to_disk has written: read by {hub: FOLDER, split: NAME}, and told for what they are."""

from pathlib import Path

import pytest
from conftest import cli
from corpora import alone as alone
from corpora import corpus_of, refusal
from datasets import ClassLabel, Dataset, DatasetDict, Features, NamedSplit, Value

FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})


def data(count: int = 20, split: str | None = None) -> Dataset:
    content = {"text": [f"t{i}" for i in range(count)], "label": [i // 2 % 2 for i in range(count)]}
    return Dataset.from_dict(content, features=FEATURES, split=None if split is None else NamedSplit(split))


def saved(what: Dataset | DatasetDict) -> str:
    what.save_to_disk("saved")
    return str(Path("saved").resolve())


@pytest.mark.parametrize("name", [None, "train"])
def test_a_data_set_is_read(name: str | None) -> None:
    folder = saved(data(split=name))
    corpus = corpus_of({"hub": folder, "split": "train"})
    assert corpus.classes.names == ("neg", "pos")
    assert len(corpus.train) + len(corpus.validation) == 20


def test_rows_that_were_selected_and_a_format_that_was_set() -> None:
    folder = saved(data(40).select(range(0, 40, 2)).with_format("numpy"))
    rows = corpus_of({"hub": folder, "split": "train"}, validation={"hub": folder, "split": "train[:50%]"})
    assert rows.train.texts["text"][:] == [f"t{i}" for i in range(0, 40, 2)]
    assert len(rows.validation) == 10


def test_splits_are_read_by_their_names() -> None:
    folder = saved(DatasetDict(train=data(), test=data(6)))
    corpus = corpus_of({"hub": folder, "split": "train"}, validation={"hub": folder, "split": "test"})
    assert (len(corpus.train), len(corpus.validation)) == (20, 6)
    said = refusal({"hub": folder, "split": "tran"})
    assert (
        said == f"hub data set {folder!r}, split 'tran': Unknown split \"tran\". Should be one of ['train', 'test']."
    )


def test_another_split_than_the_saved_one_is_refused() -> None:
    folder = saved(data(split="train"))
    said = refusal({"hub": folder, "split": "test"})
    assert said == f"hub data set {folder!r}, split 'test': Unknown split \"test\". Should be one of ['train']."


def test_a_damaged_folder_is_told() -> None:
    folder = saved(data())
    next(Path(folder).glob("*.arrow")).write_bytes(b"nothing")
    assert refusal({"hub": folder, "split": "train"}).startswith(f"hub data set {folder!r}, split 'train': ")


def test_the_folder_as_a_file_is_told_for_what_it_is(capsys: pytest.CaptureFixture) -> None:
    saved(data())
    advice = "only a folder that datasets' save_to_disk has written; a recipe reads it by {hub: ./saved, split: train}"
    assert refusal("saved") == f"saved: there is no such data file, {advice}"
    status, _, err = cli(capsys, "new", "saved")
    assert (status, err) == (2, f"saved: there is no such data file, {advice}\n")


def test_a_folder_is_told_by_what_is_in_it() -> None:
    Path("plain").mkdir()
    assert refusal("plain") == "plain: there is no such data file, only a folder without one"
    Path("plain/a.jsonl.gz").touch()
    advice = "only a folder; name the files in it, such as plain/*.jsonl.gz"
    assert refusal("plain") == f"plain: there is no such data file, {advice}"
