"""What a run left, as hashes: two runs are the same to the last bit where all of these are.

Times and speeds are left out, and nothing else. Each part is a list of items (a tensor, a line, an update), so that a
difference can be named and not only seen.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accel_cls.checkpoints.checkpoint import list_checkpoints
from accel_cls.checkpoints.tensors import tensor_places
from accel_cls.errors import UserError
from accel_cls.runs.folder import RunFolder
from accel_cls.training.trace import read_trace

# In the order in which a training makes them: the first that differs says most about why.
PARTS = ("updates", "weights", "optimizer", "counters", "metrics", "best model", "predictions")


@dataclass(frozen=True)
class Fingerprint:
    """For each part the hash of each item, by a name that says file and place."""

    updates: int  # that were made
    parts: dict[str, dict[str, str]]

    @classmethod
    def of(cls, folder: Path) -> Fingerprint:
        """Hash a finished run folder.

        Raises:
            UserError: where its trace is not that of one whole training, or it has no checkpoint.
        """
        run = RunFolder(folder)
        parts: dict[str, dict[str, str]] = {name: {} for name in PARTS}
        try:
            updates = read_trace(run.trace)
        except ValueError as error:
            raise UserError(f"the trace of a training is not whole: {error}") from error
        for update in updates:
            parts["updates"][f"trace, update {update.update}"] = _digest(asdict(update))
        parts["weights"] |= _tensors(run.trace / "weights.safetensors", folder)
        checkpoints = list_checkpoints(run.checkpoints)
        if not checkpoints:
            raise UserError(f"{run.checkpoints}: expected the last checkpoint of a finished training, found none")
        manifest = json.loads((checkpoints[0] / "manifest.json").read_text(encoding="utf-8"))
        for name in sorted(manifest["files"]):
            path = checkpoints[0] / name
            if path.name == "progress.json":
                parts["counters"][str(path.relative_to(folder))] = _digest(_timeless(_json(path)))
            elif path.suffix == ".safetensors":
                parts["weights" if path.name.startswith("model") else "optimizer"] |= _tensors(path, folder)
            else:
                parts["optimizer"][str(path.relative_to(folder))] = _bytes(path)
        for number, line in enumerate(run.metrics.read_text(encoding="utf-8").splitlines(), start=1):
            record = json.loads(line)
            parts["metrics"][f"metrics.jsonl, line {number}, update {record['update']}"] = _digest(_timeless(record))
        for path in sorted(run.model.rglob("*")):
            if path.is_file():
                name = str(path.relative_to(folder))
                found = _tensors(path, folder) if path.suffix == ".safetensors" else {name: _bytes(path)}
                parts["best model"] |= found
        for number, row in enumerate(run.predictions().read_bytes().splitlines(), start=1):
            parts["predictions"][f"predictions.csv, line {number}"] = hashlib.sha256(row).hexdigest()
        return cls(len(updates), parts)

    def hash(self, part: str) -> str:
        """One hash of a whole part."""
        return _digest(list(self.parts[part].items()))


def differences(a: Fingerprint, b: Fingerprint) -> list[str]:
    """What differs, a line for each part: how much of it, and where first. None where all is the same."""
    found = []
    for part in PARTS:
        left, right = a.parts[part], b.parts[part]
        names = [name for name in dict.fromkeys([*left, *right]) if left.get(name) != right.get(name)]
        if names:
            missing = " (one of them has none)" if (names[0] in left) != (names[0] in right) else ""
            found.append(f"{part}: {len(names):,} of {len(left):,} differ, first {names[0]}{missing}")
    return found


def _tensors(path: Path, folder: Path) -> dict[str, str]:
    """The hash of each tensor of a safetensors file, with type and shape; whatever torch has, numpy may lack."""
    found = {}
    places, start = tensor_places(path)
    with open(path, "rb") as file:
        for name, facts in sorted(places.items()):
            begin, end = facts["data_offsets"]
            file.seek(start + begin)
            digest = hashlib.sha256(json.dumps([facts["dtype"], facts["shape"]]).encode())
            digest.update(file.read(end - begin))
            found[f"{path.relative_to(folder)}, {name}"] = digest.hexdigest()
    return found


def _timeless(record: dict[str, Any]) -> dict[str, Any]:
    """A record without times and speeds: `seconds`, `examples_per_second`."""
    return {key: value for key, value in record.items() if "second" not in key}


def _digest(content: Any) -> str:
    # repr of a float, as json writes it, is exact.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _bytes(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
