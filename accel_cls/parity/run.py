"""Train every case of a comparison by the real command, one after the other, and judge the pairs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from accel_cls.errors import UserError
from accel_cls.parity.cases import Case, Leg, Wanted, control_of, pairs_of
from accel_cls.parity.compare import Trained, compare
from accel_cls.parity.training import (
    begin,
    failed,
    min_micro_batches_of,
    threads_of,
    updates_of,
    updates_per_epoch,
    without_place,
)
from accel_cls.parity.verdict import Verdict, faults_of_plan, is_within, judge, tolerance_of
from accel_cls.profiles import launch_command, write_profile
from accel_cls.recipe import Recipe


class Parity:
    """Trains one recipe in several ways into a folder, each once, and compares them."""

    def __init__(
        self,
        path: str,
        recipe: Recipe,
        overrides: Sequence[str],
        wanted: Wanted,
        folder: Path,
        say: Callable[[str], None],
    ):
        self._path = path
        self._recipe = recipe
        self._overrides = without_place(overrides)
        if recipe.train.micro_batch_tokens == "auto":
            raise UserError(
                "train.micro_batch_tokens: auto: each training would find its own number, and cut updates by it; give "
                "one, such as train.micro_batch_tokens=4096"
            )
        self.updates = updates_of(recipe, wanted.updates, updates_per_epoch(recipe))
        self.pairs = pairs_of(self._recipe, replace(wanted, updates=self.updates))
        cases = [case for pair in self.pairs for case in (pair.reference, pair.case)]
        self.processes = max(leg.profile.processes for case in cases for leg in case.legs)
        self.threads = threads_of(self.processes)
        self.min_micro_batches = min_micro_batches_of(recipe, self.processes)
        self._folder = folder
        self._say = say
        self._folders: dict[tuple[tuple[Leg, ...], bool], Path] = {}
        self._trained: dict[Case, Trained] = {}

    def verdicts(self) -> Iterator[Verdict]:
        """Judge one pair after the other, training what has not been trained yet.

        Raises:
            UserError: where a training ended with an error; with its last lines.
        """
        for pair in self.pairs:
            comparison = compare(self._train(pair.reference), self._train(pair.case))
            control = None
            if not is_within(comparison, tolerance_of(pair)) and not faults_of_plan(pair, comparison):
                control = compare(self._train(pair.reference), self._train(control_of(pair, self._recipe)))
            yield judge(pair, comparison, control)

    def _train(self, case: Case) -> Trained:
        if case not in self._trained:
            folder = self._folder_of(case.legs, case)
            try:
                self._trained[case] = Trained.of(folder)
            except ValueError as error:
                raise UserError(f"{case.name}: {error}") from error
        return self._trained[case]

    def _folder_of(self, legs: tuple[Leg, ...], case: Case) -> Path:
        """The run folder that these legs of a case leave; cases that begin alike share what they begin with."""
        done = self._folders.get((legs, case.dropout))
        if done is not None:
            return done
        *before, leg = legs
        begun = self._folder_of(tuple(before), case) if before else None
        # Numbered, since a folder that holds a run already would be continued, or left as it is.
        output = self._folder / f"{len(self._folders) + 1:02d}"
        if begun is not None:
            shutil.copytree(begun, output)
        profile = write_profile(leg.profile, output.with_name(f"{output.name}-profile.yaml"))
        overrides = [
            *self._overrides,
            f"hardware={profile.path}",
            f"output={output}",
            "train.trace=true",
            f"train.max_updates={self.updates}",
            f"train.min_micro_batches={self.min_micro_batches}",
            # A part of a run that is continued ends with an evaluation: all others have one there, too.
            f"evaluate.every={max(1, self.updates // 2)}",
            f"checkpoint.every={self.updates}",
            "~evaluate.patience",
            *([] if case.dropout else ["model.dropout=0"]),
            *leg.overrides,
        ]
        name = case.name if legs == case.legs else f"{case.name}: the part before"
        log = output.with_name(f"{output.name}.log")
        self._run(name, launch_command(profile, self._path, overrides), log)
        if begun is not None and "continues an unfinished run" not in log.read_text(encoding="utf-8"):
            raise UserError(f"{name}: the run was not continued, see {log}")
        self._folders[legs, case.dropout] = output
        return output

    def _run(self, name: str, command: list[str], log: Path) -> None:
        began = time.monotonic()
        status = begin(command, log, self.threads).wait()
        self._say(f"  {log.stem}  {name}, {time.monotonic() - began:.0f} s")
        if status:
            raise failed(name, log)
