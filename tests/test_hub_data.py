"""Data sets in a hub's layout: a folder with its splits and declared classes, and what is not there."""

from pathlib import Path

import numpy as np
import pytest
from corpora import alone as alone
from corpora import corpus_of, refusal
from datasets import ClassLabel, Dataset, Features, Value


def hub_folder():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    content = {"text": [f"t{i}" for i in range(20)], "label": [1, 0] * 10}
    Path("mirror/data").mkdir(parents=True)
    for split in ("train", "test"):
        Dataset.from_dict(content, features=features).to_parquet(f"mirror/data/{split}-00000-of-00001.parquet")
    return str(Path("mirror").resolve())


def test_local_hub_folder_with_declared_classes():
    folder = hub_folder()
    corpus = corpus_of({"hub": folder, "split": "train"}, validation={"hub": folder, "split": "test[:30%]"})
    assert corpus.classes.names == ("neg", "pos")
    assert corpus.train.labels[:2].tolist() == [1, 0]
    assert len(corpus.validation) == 6


def test_classes_that_a_parquet_file_declares():
    folder = hub_folder()
    corpus = corpus_of(f"{folder}/data/train-*.parquet", labels=["pos", "neg"])
    assert corpus.classes.names == ("pos", "neg")


@pytest.mark.parametrize("labels", [{0: "BAD", 1: "GOOD"}, {"neg": "BAD", "pos": "GOOD"}])
def test_declared_classes_are_renamed_by_number_or_by_name(labels):
    corpus = corpus_of({"hub": hub_folder(), "split": "train"}, labels=labels)
    assert corpus.classes.names == ("BAD", "GOOD")
    assert sorted(np.bincount(corpus.train.labels)) == [8, 8]


def test_unknown_split_of_a_hub_data_set():
    folder = hub_folder()
    said = refusal({"hub": folder, "split": "tran"})
    assert said.startswith(f"hub data set {folder!r}, split 'tran': ")
    assert "'train'" in said


def test_hub_id_without_a_network():
    said = refusal({"hub": "org/no-such-data", "split": "train"})
    assert said.startswith("hub data set 'org/no-such-data', split 'train': ")
