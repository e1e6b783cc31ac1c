"""What a contestant is asked to do: one JSON file, the same for all, so that all have the same rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from accel_cls.data.corpus import Corpus
    from accel_cls.data.examples import Examples
    from accel_cls.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """Rows by a recipe that `accel-cls new` has written, and where the answers go."""

    recipe: str
    seed: int  # of the split, where there is no judged file, and of all else that is drawn
    judged: str | None  # a labelled file; None: what the recipe splits off
    encoder: str | None  # a folder
    device: str  # cpu or cuda
    result: str  # the npz file to write

    def write(self, path: Path) -> Path:
        """Put the request where a contestant finds it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    def load(self) -> tuple[Recipe, Corpus]:
        """The recipe, and its rows: those that a contestant learns from as `train`, the judged ones as `validation`.

        With a judged file these are all rows of the training file.
        """
        from accel_cls.data.loading import load_corpus
        from accel_cls.recipe import load_recipe
        from accel_cls.tasks import task_of

        judged = [] if self.judged is None else [f"data.validation={json.dumps(self.judged)}"]
        recipe = load_recipe(Path(self.recipe), [f"seed={self.seed}", *judged])
        return recipe, load_corpus(recipe, task_of(recipe))


Answers = Mapping[str, np.ndarray]  # class ids of the judged rows, int64, by contestants' names


def serve(answer: Callable[[Request, Recipe, Corpus], Answers]) -> None:
    """Answer the request whose file is the only argument."""
    request = Request(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    answers: dict[str, Any] = {**answer(request, *request.load())}
    np.savez(request.result, **answers)


def texts_of(examples: Examples) -> list[list[str]]:
    """The arguments of a tokenizer: the texts, and for pairs the second ones."""
    return [list(column) for column in examples.texts[:].values()]
