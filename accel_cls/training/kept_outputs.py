"""What a model as it is makes of many texts: made once, by all processes, and found again by what it follows from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import Accelerator
from accelerate.utils import broadcast
from transformers import PreTrainedModel

from accel_cls.tokenization.cache import find, find_or_make

# Of a configuration: what no output follows from.
_IRRELEVANT = ("id2label", "label2id", "num_labels", "problem_type", "_name_or_path", "dtype", "accel_cls")


def key_of(model: PreTrainedModel, facts: Collection[Any], without: Collection[torch.Tensor] = ()) -> str:
    """A digest of all that outputs follow from, to the bit: weights, and what else is named.

    Args:
        model: whose outputs they are.
        facts: what they follow from besides, as JSON.
        without: weights that take no part.
    """
    digest, apart = hashlib.sha256(), {*without}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor not in apart:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    config = {key: value for key, value in model.config.to_dict().items() if key not in _IRRELEVANT}
    whole = [type(model).__name__, config, torch.__version__, transformers.__version__, *facts]
    digest.update(json.dumps(whole, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:32]


def made_once(
    kind: str,
    accelerator: Accelerator,
    key: Callable[[], str],
    shape: tuple[int, int],
    make: Callable[[], np.ndarray],
    notes: list[str],
) -> np.ndarray | None:
    """Outputs, float32, that are kept or made now. Called by all processes; others than the main one may get None.

    Args:
        kind: of outputs, in the cache.
        accelerator: the run's.
        key: see `key_of`; asked on the main process only, since it reads all weights.
        shape: that they have.
        make: makes them, all processes together.
        notes: takes a line where they can't be kept.
    """
    own = key() if accelerator.is_main_process else None
    kept = None if own is None else _kept(kind, own, shape)
    is_kept = torch.tensor(int(kept is not None), device=accelerator.device)
    if int(accelerator.reduce(is_kept, "sum")):
        return kept
    made = make()
    if own is not None:
        find_or_make(kind, kind, own, lambda folder: np.save(_file(folder, kind), made), notes)
    return made


def on_all_processes(found: np.ndarray | None, shape: tuple[int, int], accelerator: Accelerator) -> np.ndarray:
    """The same on each process, where `made_once` has given it to the main one alone."""
    lacking = torch.tensor(int(found is None), device=accelerator.device)
    if int(accelerator.reduce(lacking, "sum")):
        values = np.zeros(shape, np.float32) if found is None else found
        found = broadcast(torch.from_numpy(values).to(accelerator.device)).cpu().numpy()
    assert found is not None
    return found


def _kept(kind: str, key: str, shape: tuple[int, int]) -> np.ndarray | None:
    entry = find(kind, key, lambda folder: np.load(_file(folder, kind), mmap_mode="r").shape == shape)
    return None if entry is None else np.load(_file(entry.folder, kind))


def _file(folder: Path, kind: str) -> Path:
    return folder / f"{kind}.npy"
