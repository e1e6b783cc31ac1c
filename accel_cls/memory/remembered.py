"""What has been found out about this machine before: the micro-batches that fit, in the user's cache folder."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from accel_cls.memory.available import DeviceMemory
from accel_cls.memory.forecast import trained_bytes
from accel_cls.memory.setup import ParallelSetup
from accel_cls.memory.sizes import MicroBatchSizes
from accel_cls.models.recomputing import recomputed_layers
from accel_cls.tokenization.cache import cache_folder

_MOST = 300  # entries kept, the newest; an entry has about 200 bytes
# Of a model's configuration, what has nothing to do with memory, or depends on how it was loaded.
_IRRELEVANT = ("id2label", "label2id", "_name_or_path", "transformers_version", "dtype", "architectures")


def search_key(
    setup: ParallelSetup,
    available: DeviceMemory,
    sizes: MicroBatchSizes,
    model: transformers.PreTrainedModel,
    copies: int = 0,
) -> str:
    """All that decides which micro-batch fits, as a short text to remember the answer under."""
    config = {key: value for key, value in model.config.to_dict().items() if key not in _IRRELEVANT}
    facts: list[Any] = [
        [available.device_name, available.total],
        [setup.strategy, setup.processes, setup.local_processes, setup.mixed_precision],
        [type(model).__name__, model.config._attn_implementation, model.config.num_labels, config],
        [trained_bytes(model), copies, len(recomputed_layers(model))],
        [torch.__version__, transformers.__version__],
        asdict(sizes),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def cache_file() -> Path:
    """Where it is written. Raises OSError where this user has no home."""
    return cache_folder() / "micro_batches.json"


def remembered_tokens(key: str, notes: list[str]) -> int | None:
    """The tokens remembered under a key; None where there are none. A note where the file can't be used."""
    entry = _read(notes).get(key)
    tokens = entry.get("tokens") if isinstance(entry, dict) else None
    return tokens if type(tokens) is int and 0 < tokens < 2**31 else None


def remember(key: str, tokens: int, found: str, device: str, notes: list[str]) -> None:
    """Remember tokens under a key, and how and where they were found. A note where the file can't be written."""
    entries = _read([])
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entries.pop(key, None)
    entries[key] = {"tokens": tokens, "date": now, "found": found, "device": device}
    newest = dict(list(entries.items())[-_MOST:])
    try:
        path = cache_file()
        beside = path.with_name(f".{path.name}.{os.getpid()}.partial")  # several runs may write at the same time
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(newest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        notes.append(f"what fits can't be remembered for the next run: {error}")


def _read(notes: list[str]) -> dict[str, Any]:
    try:
        path = cache_file()
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no mapping")
    except FileNotFoundError:
        return {}
    except ValueError as error:  # no UTF-8, no JSON, or not what was written
        notes.append(f"{path} is damaged and will be replaced: {error}")
        return {}
    except OSError as error:
        notes.append(f"what earlier runs found to fit can't be read: {error}")
        return {}
    return content
