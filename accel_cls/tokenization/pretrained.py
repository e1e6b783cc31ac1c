"""Pretrained folders and hub ids: the libraries quiet, and their errors in one line."""

from __future__ import annotations

import os
import pickle
from importlib.metadata import distributions
from pathlib import Path

import transformers

from accel_cls.errors import UserError, listed, shown
from accel_cls.hub import why_offline

# What transformers needs to convert a SentencePiece vocabulary; it asks for tiktoken where it has neither.
_FOR_SENTENCEPIECE = ("sentencepiece", "protobuf")
_CONVERT = "transformers 4 converts them: AutoModel.from_pretrained(folder, {}=True).save_pretrained(folder)"
_EXPORTED = "they were made from a PyTorch model: take that"
# Weights of other libraries, by the end of their file's name, and how to come by PyTorch's.
_OTHERS = {
    ".h5": ("TensorFlow", _CONVERT.format("from_tf")),
    ".ckpt.index": ("TensorFlow", _CONVERT.format("from_tf")),
    ".msgpack": ("Flax", _CONVERT.format("from_flax")),
    ".onnx": ("ONNX", _EXPORTED),
    ".gguf": ("GGUF", _EXPORTED),
    ".ot": ("Rust", _EXPORTED),
}
_GIT_LFS_POINTER = b"version https://git-lfs.github.com/"

transformers.logging.set_verbosity_error()  # what matters of its warnings is said in our own notes
transformers.utils.logging.disable_progress_bar()


def load_error(name: str, what: str, error: Exception, place: str = "model.name") -> UserError:
    """Why a folder's or hub id's tokenizer or model can't be used, in the library's words.

    Args:
        name: the folder or hub id.
        what: "tokenizer" or "model".
        error: what the library has raised.
        place: where the user has named it.
    """
    missing = "folder, which does not exist," if os.path.isabs(name) else "hub id (no such folder exists)"
    kind = "folder" if os.path.isdir(name) else missing
    why = shown(_reason(name, error), 300)
    return UserError(f"{place}: the {what} of the {kind} {shown(name, 200)!r} can't be loaded: {why}")


def _reason(name: str, error: Exception) -> str:
    said = str(error)
    if pointers := _git_lfs_pointers(name):
        return f"Git LFS pointers stand in place of its files, {listed(pointers)}; fetch them: git lfs pull"
    if reason := _lacks(Path(name)) or (_weights_of_others(Path(name)) if "no file named" in said else None):
        return reason
    if ("couldn't connect" in said or "offline" in said) and (offline := why_offline()):
        return f"{offline}, and it is not in the cache of this machine. See to that, or give a folder with the model"
    if "trust_remote_code" in said:
        return "it needs code of its own, which is never run; choose a model that transformers itself knows"
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in said:
        return "its weights are a pickle with code in it, which is never run; convert them to safetensors"
    if "ignore_mismatched_sizes" in said:  # transformers speaks of a table that it has logged
        return "its weights have other shapes than its config.json says, they do not belong together"
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [type(error).__name__]
    reason = " ".join(lines if lines[0].endswith(":") else lines[:1])  # a list of reasons is told whole
    if isinstance(error, ArithmeticError | LookupError | TypeError | AttributeError):  # where it broke, and no reason
        return f"its files make none ({type(error).__name__}: {reason})"
    return reason


def _lacks(folder: Path) -> str | None:
    """What a model's folder lacks, where that says more than the error of whoever looked for it; else None."""
    if not os.path.isdir(folder):  # Path's own raises where a name is too long to be one
        return None
    names = sorted(path.name for path in folder.iterdir())
    if "config.json" not in names:
        if "bert_config.json" in names:
            return "its configuration is called bert_config.json; rename it to config.json"
        return f"it has no config.json; what is there: {listed(names, 5) or 'nothing'}"
    pieces = [name for name in names if name.endswith(".model")]
    if pieces and "tokenizer.json" not in names:
        missing = [package for package in _FOR_SENTENCEPIECE if not any(distributions(name=package))]
        if missing:
            return f"its vocabulary is {pieces[0]}, which takes more packages to read: pip install {' '.join(missing)}"
    return None


def _weights_of_others(folder: Path) -> str | None:
    """Which weights are there where PyTorch's are not; None where there are none."""
    for ending, (library, advice) in _OTHERS.items():
        if found := sorted(folder.glob(f"*{ending}")):
            return f"its weights are {library}'s, {found[0].name}, which can't be read here; {advice}"
    return None


def _git_lfs_pointers(folder: str) -> list[str]:
    """The files there that Git has left to its large file storage, and not fetched."""
    found = []
    for path in sorted(Path(folder).glob("*")) if os.path.isdir(folder) else ():
        if path.is_file() and os.path.getsize(path) < 1024 and path.read_bytes().startswith(_GIT_LFS_POINTER):
            found.append(path.name)
    return found
