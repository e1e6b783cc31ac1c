"""Model folders whose weights are hostile or do not fit: pickles, damaged files, other shapes. No code runs."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from harm import Payload
from hostile_models import (
    FOUR,
    KEPT,
    MISMATCHED,
    Cases,
    answer,
    change,
    check,
    predicted,
    refused,
    remove,
    weights,
    write,
)
from hostile_models import model as model
from hostile_models import sound as sound
from safetensors.torch import load_file


def pickled(content: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Weights in the old format, a pickle, instead of safetensors."""

    def apply(folder: Path) -> None:
        torch.save(content(folder), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()

    return apply


def raw_pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload()))
    (folder / "model.safetensors").unlink()


def beside(folder: Path) -> None:
    """A pickle that nobody has asked for, beside safetensors."""
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "x.pkl"):
        (folder / name).write_bytes(pickle.dumps(Payload()))


def halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = "bert.embeddings.word_embeddings.weight"
    return tensors | {name: tensors[name][:5].clone()}


def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"other.{name}": tensor for name, tensor in tensors.items()}


def not_a_number(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(tensor, float("nan")) for name, tensor in tensors.items()}


def three_classes(folder: Path) -> None:
    weights(lambda t: t | {"classifier.weight": torch.zeros(3, 8), "classifier.bias": torch.zeros(3)})(folder)


FRESH = "weights that m does not have start fresh: classifier.bias, classifier.weight"
HEADLESS = weights(lambda t: {name: tensor for name, tensor in t.items() if "classifier" not in name})
SAFETENSORS_OF_A_TERABYTE = (1 << 40).to_bytes(8, "little") + b"{}"
WITH_CODE = refused("model", "its weights are a pickle with code in it, which is never run")
NO_FILE = refused("model", "no file named model.safetensors")

WEIGHTS: Cases = [
    ("pickle with code only", raw_pickle, *WITH_CODE),
    ("pickle of torch with code", pickled(lambda m: {"x": Payload()}), *WITH_CODE),
    ("pickle of tensors", pickled(lambda m: load_file(m / "model.safetensors")), [KEPT], FOUR),
    ("pickles beside safetensors", beside, [KEPT], FOUR),
    ("no weights", remove("model.safetensors"), *NO_FILE),
    (
        "other number of classes",
        three_classes,
        ["the head of m is made anew: its weights are not for the 2 classes that its config.json names"],
        MISMATCHED,
    ),
    (
        "without a head",
        HEADLESS,
        [FRESH],
        "no trained classifier, its weights lack classifier.bias, classifier.weight; train it first",
    ),
    (
        "weights of another model",
        weights(renamed),
        "the weights of m are those of another model: none has a name that fits",
        "m: the weights of m are those of another model: none has a name that fits",
    ),
    *[
        (f"weights of a wrapped model, {name}", weights(edit), f"model.name: {told}", f"m: {told}")
        for name, edit, told in (
            (
                "by DistributedDataParallel",
                lambda t: {f"module.{key}": one for key, one in t.items()},
                "the weights of m are called module.bert.…expected bert.…by DistributedDataParallel (module)",
            ),
            (
                "by torch.compile",
                lambda t: {f"_orig_mod.{key}": one for key, one in t.items()},
                "the weights of m are called _orig_mod.bert.…expected bert.…by torch.compile (_orig_mod)",
            ),
            (
                "by both",
                lambda t: {f"module._orig_mod.{key}": one for key, one in t.items()},
                "the weights of m are…_orig_mod.…by DistributedDataParallel (module), torch.compile (_orig_mod)",
            ),
            (
                "each layer by itself",
                lambda t: {key.replace(".layer.0.", ".layer.0._orig_mod."): one for key, one in t.items()},
                "the weights of m are called bert.encoder.layer.0._orig_mod.…expected bert.…by torch.compile",
            ),
            (
                "an encoder alone",
                lambda t: {f"module.{key[5:]}": one for key, one in t.items() if key.startswith("bert.")},
                "the weights of m are called module.embeddings.…expected bert.embeddings.",
            ),
        )
    ],
    *[
        (
            f"weights of {library} only",
            lambda m, file=file: (remove("model.safetensors")(m), write(file, b"x")(m)),
            *refused("model", f"its weights are {library}'s, {file}, which can't be read here; …"),
        )
        for library, file in (
            ("TensorFlow", "tf_model.h5"),
            ("TensorFlow", "model.ckpt.index"),
            ("Flax", "flax_model.msgpack"),
            ("ONNX", "model.onnx"),
            ("GGUF", "model-q4.gguf"),
            ("Rust", "rust_model.ot"),
        )
    ],
    (
        "too small an embedding",
        weights(halved),
        "embeddings.word_embeddings.weight of m have the shape (5, 8), its config.json says (19, 8)",
        MISMATCHED,
    ),
    (
        "too small an embedding, as configured",
        lambda m: (weights(halved)(m), change("config.json", vocab_size=5)(m)),
        "m has 5 embeddings, but its tokenizer 19 tokens",
        "m has 5 embeddings, but its tokenizer 19 tokens",
    ),
    ("weights that are no numbers", weights(not_a_number), [KEPT], "the model answers with what is no number"),
    (
        "weights cut in the middle",
        lambda m: os.truncate(m / "model.safetensors", 500),
        *refused("model", "invalid header length"),
    ),
    ("weights that are empty", write("model.safetensors", b""), *refused("model", "header too small")),
    (
        "header of a terabyte",
        write("model.safetensors", SAFETENSORS_OF_A_TERABYTE),
        *refused("model", "header too large"),
    ),
    (
        "header nested deeply",
        write("model.safetensors", (100_000).to_bytes(8, "little") + b"[" * 100_000),
        *refused("model", "invalid JSON in header"),
    ),
    (
        "weights that are a Git LFS pointer",
        write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"),
        *refused("model", "Git LFS pointers stand in place of its files, model.safetensors; fetch them: git lfs pull"),
    ),
    (
        "index that leads out",
        lambda m: (
            remove("model.safetensors")(m),
            write(
                "model.safetensors.index.json",
                json.dumps({"metadata": {}, "weight_map": {"x": "../../../etc/passwd"}}),
            )(m),
        ),
        *refused("model", "No such file or directory: 'm/../../../etc/passwd'"),
    ),
    (
        "folder in place of the weights",
        lambda m: (remove("model.safetensors")(m), (m / "model.safetensors").mkdir()),
        *NO_FILE,
    ),
    (
        "link to itself in place of the weights",
        lambda m: (remove("model.safetensors")(m), (m / "model.safetensors").symlink_to("model.safetensors")),
        *NO_FILE,
    ),
]


@pytest.mark.parametrize(
    ("tamper", "trained", "classified"), [case[1:] for case in WEIGHTS], ids=[case[0] for case in WEIGHTS]
)
def test_model_folder(model, tamper, trained, classified):
    tamper(model)
    check(answer(), trained)
    check(predicted(), classified)


def test_payload_would_run_if_it_were_unpickled(tmp_path, monkeypatch):
    """Else a test that nothing has run would prove nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Payload()))
    assert Path("HARMED").is_dir()
