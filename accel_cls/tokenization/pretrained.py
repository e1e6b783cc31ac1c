"""Pretrained folders and hub ids: the libraries quiet, and their errors in one line."""

from __future__ import annotations

import os
import pickle

import transformers

from accel_cls.errors import UserError, shown

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
    if "trust_remote_code" in str(error):
        error = ValueError(
            "it needs code of its own, which is never run; choose a model that transformers itself knows"
        )
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in str(error):
        error = ValueError("its weights are a pickle with code in it, which is never run; convert them to safetensors")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = " ".join(lines if lines[0].endswith(":") else lines[:1])  # a list of reasons is told whole
    missing = "folder, which does not exist," if os.path.isabs(name) else "hub id (no such folder exists)"
    kind = "folder" if os.path.isdir(name) else missing
    return UserError(f"{place}: the {what} of the {kind} {shown(name, 200)!r} can't be loaded: {shown(reason, 300)}")
