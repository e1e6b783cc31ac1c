"""Two models of one run: the one that validation has selected, and what a refit makes of its recipe."""

from __future__ import annotations

from accel_cls.runs.folder import RunFolder


def put_refitted(folder: RunFolder) -> None:
    """Make the model of the run in `refit/` this run's, and put the selected one beside it."""
    inner = RunFolder(folder.refit)
    folder.model.rename(folder.selected)
    inner.model.rename(folder.model)
    for answers in (inner.predictions(), inner.logits()):  # to examples that it has learned: they say nothing
        answers.unlink(missing_ok=True)


def restore_selected(folder: RunFolder) -> None:
    """Undo that, also where it was ended half-way; does nothing where no model was refitted."""
    if not folder.selected.is_dir():
        return
    if folder.model.is_dir():
        folder.model.rename(RunFolder(folder.refit).model)
    folder.selected.rename(folder.model)


def is_refitted(folder: RunFolder) -> bool:
    """Whether a run's model has learned its validation examples, too."""
    return folder.selected.is_dir()
