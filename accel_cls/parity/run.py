"""Train every case of a comparison by the real command, one after the other, and compare the pairs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from accel_cls.errors import UserError
from accel_cls.parity.cases import Case, Launch, ParityOptions, make_control, make_pairs
from accel_cls.parity.compare import TrainedRun, compare
from accel_cls.parity.comparison_runs import (
    limit_updates,
    min_micro_batches_for,
    require_rate,
    start_training,
    threads_per_process,
    training_failed,
    updates_per_epoch,
    without_output_and_hardware,
)
from accel_cls.parity.verdict import Verdict, assess, is_within, plan_mismatches, tolerance_of
from accel_cls.profiles import launch_command, write_profile
from accel_cls.recipe import Recipe


class Parity:
    """Trains one recipe in several ways into a folder, each once, and compares them."""

    def __init__(
        self,
        path: str,
        recipe: Recipe,
        overrides: Sequence[str],
        options: ParityOptions,
        folder: Path,
        print_line: Callable[[str], None],
    ):
        self._path = path
        self._recipe = recipe
        self._overrides = without_output_and_hardware(overrides)
        require_rate(recipe)
        if recipe.train.micro_batch_tokens == "auto":
            raise UserError(
                "train.micro_batch_tokens: auto: each training would find its own number, and cut updates by it; give "
                "one, such as train.micro_batch_tokens=4096"
            )
        self.updates = limit_updates(recipe, options.updates, updates_per_epoch(recipe))
        self.pairs = make_pairs(self._recipe, replace(options, updates=self.updates))
        cases = [case for pair in self.pairs for case in (pair.reference, pair.case)]
        self.processes = max(launch.profile.processes for case in cases for launch in case.launches)
        self.threads = threads_per_process(self.processes)
        self.min_micro_batches = min_micro_batches_for(recipe, self.processes)
        self._folder = folder
        self._print = print_line
        self._folders: dict[tuple[tuple[Launch, ...], bool], Path] = {}
        self._trained: dict[Case, TrainedRun] = {}

    def verdicts(self) -> Iterator[Verdict]:
        """Compare one pair after the other, training what has not been trained yet.

        Raises:
            UserError: where a training ended with an error; with its last lines.
        """
        for pair in self.pairs:
            comparison = compare(self._train(pair.reference), self._train(pair.case))
            control = None
            if not is_within(comparison, tolerance_of(pair)) and not plan_mismatches(pair, comparison):
                control = compare(self._train(pair.reference), self._train(make_control(pair, self._recipe)))
            yield assess(pair, comparison, control)

    def _train(self, case: Case) -> TrainedRun:
        if case not in self._trained:
            folder = self._folder_of(case.launches, case)
            try:
                self._trained[case] = TrainedRun.of(folder)
            except ValueError as error:
                raise UserError(f"{case.name}: {error}") from error
        return self._trained[case]

    def _folder_of(self, launches: tuple[Launch, ...], case: Case) -> Path:
        """The run folder that these launches of a case leave; cases that begin alike share what they begin with."""
        done = self._folders.get((launches, case.dropout))
        if done is not None:
            return done
        *before, launch = launches
        begun = self._folder_of(tuple(before), case) if before else None
        # Numbered, since a folder that holds a run already would be continued, or left as it is.
        output = self._folder / f"{len(self._folders) + 1:02d}"
        if begun is not None:
            shutil.copytree(begun, output)
        profile = write_profile(launch.profile, output.with_name(f"{output.name}-profile.yaml"))
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
            "refit=false",
            *([] if case.dropout else ["model.dropout=0"]),
            *launch.overrides,
        ]
        name = case.name if launches == case.launches else f"{case.name}: the part before"
        log = output.with_name(f"{output.name}.log")
        self._run(name, launch_command(profile, self._path, overrides), log)
        if begun is not None and "continues an unfinished run" not in log.read_text(encoding="utf-8"):
            raise UserError(f"{name}: the run was not continued, see {log}")
        self._folders[launches, case.dropout] = output
        return output

    def _run(self, name: str, command: list[str], log: Path) -> None:
        began = time.monotonic()
        status = start_training(command, log, self.threads).wait()
        self._print(f"  {log.stem}  {name}, {time.monotonic() - began:.0f} s")
        if status:
            raise training_failed(name, log)
