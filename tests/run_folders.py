"""Run folders and checkpoints made without training, and a start in such a folder."""

import hashlib
from contextlib import nullcontext
from dataclasses import asdict

import pytest

from accel_cls.atomic import write_json
from accel_cls.checkpoints.checkpoint import Progress, checkpoint_path
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe
from accel_cls.runs.changes import RunSpec
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.resume import Action, Start, decide, open_run


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def make_checkpoint(folder, update, **progress):
    """A checkpoint as it is saved, without a model."""
    checkpoint = checkpoint_path(folder, update)
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights %d" % update)
    write_json(checkpoint / "progress.json", asdict(Progress(update=update, **progress)))
    facts = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files_of(checkpoint).items()
    }
    write_json(checkpoint / "manifest.json", {"update": update, "files": facts})
    return checkpoint


def truncate(checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"weig")


def recipe_of(tmp_path, **changes):
    values = {"name": "food", "output": str(tmp_path / "food"), "data": {"train": "/data/a.csv"}}
    return Recipe.model_validate(values | changes)


def spec_of(tmp_path, recipe=None, digest="d", precision=None):
    return RunSpec(recipe or recipe_of(tmp_path), digest, 320, "a machine", precision)


def opened(tmp_path, recipe=None, digest="d", fresh=False, precision=None):
    """What `open_run` does, and its notes; before it, `decide` has said so, and has touched nothing."""
    folder, spec, notes = RunFolder(tmp_path / "food"), spec_of(tmp_path, recipe, digest, precision), []
    before = files_of(tmp_path)
    decision = decide(folder, spec, fresh)
    assert files_of(tmp_path) == before
    refused = decision.action == Action.REFUSE
    with pytest.raises(UserError) if refused else nullcontext() as caught:
        start = open_run(folder, spec, fresh, notes)
    if refused:
        assert str(caught.value) == decision.refusal(folder)
        raise caught.value
    if decision.action in (Action.BEGIN, Action.SET_ASIDE):
        assert start == Start()
    else:
        assert start.finished == (decision.action == Action.SHOW)
        assert (start.checkpoint is None) == (decision.checkpoint is None)
    assert (tmp_path / "food.1").exists() == (decision.action == Action.SET_ASIDE or "food.1" in str(before))
    return start, notes


def finish(tmp_path):
    opened(tmp_path)
    write_json(tmp_path / "food/results.json", {"scores": {}})
