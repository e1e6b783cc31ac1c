"""Where a model's temperature and rules lie: in its config.json, beside what else accel_cls knows of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from accel_cls.atomic import write_text
from accel_cls.evaluation.deciding.postprocessing import Postprocessing
from accel_cls.runs.folder import RunFolder

OURS = "accel_cls"  # the key of config.json that transformers passes on as it is
POSTPROCESSING = "postprocessing"
LONG_TEXTS = "long_texts"  # how they are cut, where a tokenizer can't do it by itself


def write_postprocessing(folder: RunFolder, post: Postprocessing, names: Sequence[str]) -> None:
    """Put it into the configuration of the run's model, in place of what is there; nothing else of that changes."""
    path = folder.model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    ours = {key: value for key, value in config.get(OURS, {}).items() if key != POSTPROCESSING}
    config[OURS] = ours if post.is_plain else ours | {POSTPROCESSING: post.as_json(names)}
    write_text(path, json.dumps(config, indent=2, sort_keys=True) + "\n")  # as transformers writes it


def has_postprocessing(folder: RunFolder) -> bool:
    """Whether the run's model has any."""
    config = json.loads((folder.model / "config.json").read_text(encoding="utf-8"))
    return POSTPROCESSING in config.get(OURS, {})
