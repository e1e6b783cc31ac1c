"""What `accel-cls resume --prove` does: one training without interruption, others with, and a comparison."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accel_cls.devices.deterministic import describe_repeatable, is_repeatable
from accel_cls.errors import UserError
from accel_cls.memory.setup import ParallelSetup
from accel_cls.parity.cases import Case, Launch, Pair, make_control
from accel_cls.parity.compare import TrainedRun, compare
from accel_cls.parity.comparison_runs import (
    limit_updates,
    min_micro_batches_for,
    require_rate,
    threads_per_process,
    updates_per_epoch,
    without_output_and_hardware,
)
from accel_cls.parity.verdict import Verdict, assess, is_within, tolerance_of
from accel_cls.profiles import Profile, launch_command, profile_to_launch, write_profile
from accel_cls.proving import interrupt
from accel_cls.proving.fingerprint import PARTS, Fingerprint, differences
from accel_cls.recipe import Recipe, read_plain
from accel_cls.runs.folder import RunFolder

_CHECKPOINTS = 10  # in a training, at least, where it has as many updates
_TRIES = 3  # to kill a training that was over too soon


@dataclass(frozen=True)
class ProofOptions:
    """What to prove."""

    processes: Sequence[int] = ()  # the first trains; the others go on with what it began; none: the profile's
    kills: int = 3
    updates: int = 200
    seed: int = 0  # of the instants


@dataclass(frozen=True)
class ProofRun:
    """One run, and how it compares with the reference run, which was not interrupted."""

    name: str
    attempts: Sequence[interrupt.Attempt]
    fingerprint: Fingerprint
    differences: Sequence[str]  # to the last bit
    verdict: Verdict | None = None  # where the last bit is not to be expected
    cause: str | None = None  # what the difference comes from, where the last bit was to be expected

    @property
    def killed_at(self) -> list[int]:
        """The last update before each kill."""
        return [attempt.killed_at for attempt in self.attempts if attempt.killed_at is not None]

    @property
    def resumed_from(self) -> list[int]:
        """The update from which each later start went on."""
        return [attempt.resumed_from for attempt in self.attempts if attempt.resumed_from is not None]

    @property
    def is_same(self) -> bool:
        """Whether it is the same training, as exactly as can be expected."""
        return not self.differences if self.verdict is None else not self.verdict.mismatches

    def __str__(self) -> str:
        if not self.differences:
            return "the same to the last bit"
        if self.verdict is not None:
            return str(self.verdict)
        return f"DIFFERENT: {self.differences[0]}"

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "name": self.name,
            "killed_at": self.killed_at,
            "resumed_from": self.resumed_from,
            "updates": self.fingerprint.updates,
            "hashes": {part: self.fingerprint.hash(part) for part in PARTS},
            "same": self.is_same,
            "same_to_the_last_bit": not self.differences,
            "verdict": str(self),
            "differences": list(self.differences),
            "cause": self.cause,
            "parity": None if self.verdict is None else self.verdict.as_json(),
        }


class Proof:
    """Trains a recipe into a folder, without and with interruptions."""

    def __init__(
        self,
        path: str,
        recipe: Recipe,
        overrides: Sequence[str],
        options: ProofOptions,
        folder: Path,
        print_line: Callable[[str], None],
    ):
        require_rate(recipe)
        profile = profile_to_launch(recipe.hardware, options.processes[0] if options.processes else None)
        assert profile is not None
        if profile.machines > 1:
            raise UserError(
                f"hardware: {profile.name} is for {profile.machines} machines, but all processes are killed and "
                "started here; take a profile for one, such as hardware=cpu"
            )
        self.base = profile.changed(options.processes[0] if options.processes else None)
        self.other_profiles = [self.base.changed(count) for count in options.processes[1:]]
        epoch = updates_per_epoch(recipe)
        self.updates = limit_updates(recipe, options.updates, epoch)
        if self.updates < 2:
            raise UserError(
                "--prove: the training has 1 update; expected 2 or more, to be interrupted. Take more --updates, "
                "a larger train.max_updates or a smaller train.batch_size"
            )
        self.checkpoint_every = _interval(recipe.checkpoint.every, epoch, max(1, self.updates // _CHECKPOINTS))
        self.evaluate_every = _interval(recipe.evaluate.every, epoch, self.updates // 2)
        self.options = options
        most = max(profile.processes for profile in (self.base, *self.other_profiles))
        self.threads = threads_per_process(most)
        device = ParallelSetup.expected(self.base, self.base.processes).device.type
        self.repeatable = describe_repeatable(device, recipe.train.deterministic)  # where it has to be told
        self._is_repeatable = is_repeatable(device, recipe.train.deterministic)
        self._recipe, self._path, self._folder, self._print = recipe, path, folder, print_line
        self._overrides = [
            *without_output_and_hardware(overrides),
            "train.trace=true",
            f"train.max_updates={self.updates}",
            f"checkpoint.every={self.checkpoint_every}",
            f"evaluate.every={self.evaluate_every}",
        ]
        if self.other_profiles:
            self._overrides.append(f"train.min_micro_batches={min_micro_batches_for(recipe, most)}")

    def run(self) -> list[ProofRun]:
        """Train and compare; the first of what is returned is the reference run.

        Raises:
            UserError: where a training fails, or was over before it could be interrupted.
        """
        whole = self._folder / "whole"
        self._train("without interruption", whole, [self.base], [])
        if self._recipe.train.micro_batch_tokens == "auto":
            # Found once. Another training might find another number, with other cuts, and that is not in question.
            found = read_plain(RunFolder(whole).recipe)
            self._overrides.append(f"train.micro_batch_tokens={found['train']['micro_batch_tokens']}")
        fingerprint = Fingerprint.of(whole)
        runs = [ProofRun("without interruption", [interrupt.Attempt(None, None)], fingerprint, [])]
        seconds = json.loads(RunFolder(whole).results.read_text(encoding="utf-8"))["seconds"]
        kills = interrupt.draw_kills(
            min(self.options.kills, fingerprint.updates - 1), fingerprint.updates, seconds, self.options.seed
        )
        for profile in (self.base, *self.other_profiles):
            is_other = profile != self.base
            name = f"killed, continued by {_many(profile.processes)}" if is_other else "killed and resumed"
            folder = self._folder / (f"killed-then-{profile.processes}" if is_other else "killed")
            attempts = self._train(name, folder, [self.base, profile], kills)
            for _ in range(_TRIES):
                if len(attempts) > 1:
                    break
                # A training of milliseconds may be over before it is seen to have begun: then as early as can be.
                shutil.rmtree(folder)
                attempts = self._train(name, folder, [self.base, profile], [interrupt.Kill(1, 0.0), *kills[1:]])
            if len(attempts) == 1:
                raise UserError(
                    f"{name}: the training was over before it could be killed, which proves nothing; take more "
                    f"--updates, or another --seed than {self.options.seed}"
                )
            own = Fingerprint.of(folder)
            found_differences = differences(fingerprint, own)
            verdict, cause = None, None
            if found_differences and (is_other or not self._is_repeatable):
                verdict = self._assess_parity(whole, folder, name, profile)
            elif found_differences:
                cause = self._find_cause(fingerprint)
            runs.append(ProofRun(name, attempts, own, found_differences, verdict, cause))
        return runs

    def _find_cause(self, fingerprint: Fingerprint) -> str:
        """Why a run that was killed and resumed differs: train once more without interruption, and compare that."""
        again = self._folder / "again"
        self._train("without interruption, once more", again, [self.base], [])
        found = differences(fingerprint, Fingerprint.of(again))
        if not found:
            return "two runs without interruption are the same to the last bit: going on is what changes something"
        return f"so do two runs without interruption ({found[0]}): this hardware does not repeat itself"

    def _assess_parity(self, whole: Path, folder: Path, name: str, profile: Profile) -> Verdict:
        """Compare a run on other processes within parity's tolerance, with a control where that is not enough."""
        pair = Pair(Case("without interruption", (Launch(self.base),)), Case(name, (Launch(profile),)))
        try:
            reference = TrainedRun.of(whole)
            comparison = compare(reference, TrainedRun.of(folder))
            control = None
            if not is_within(comparison, tolerance_of(pair)):
                launch = make_control(pair, self._recipe).launches[0]
                place = self._folder / "control"
                if not place.exists():
                    self._train("control", place, [self.base], [], launch.overrides)
                control = compare(reference, TrainedRun.of(place))
        except ValueError as error:
            raise UserError(f"{name}: {error}; what ends a training early differs, try ~evaluate.patience") from error
        return assess(pair, comparison, control)

    def _train(
        self,
        name: str,
        output: Path,
        profiles: Sequence[Profile],
        kills: Sequence[interrupt.Kill],
        more: Sequence[str] = (),
    ) -> list[interrupt.Attempt]:
        began = time.monotonic()
        commands = []
        for profile in profiles:
            written = write_profile(profile, output.with_name(f"profile-{profile.processes}.yaml"))
            overrides = [*self._overrides, f"hardware={written.path}", f"output={output}", "refit=false", *more]
            commands.append(launch_command(written, self._path, overrides))
        attempts = interrupt.train_with_kills(name, commands, kills, output, self.threads)
        starts = f"{len(attempts)} starts, " if kills else ""
        self._print(f"  {name}, {starts}{time.monotonic() - began:.0f} s")
        return attempts


def _interval(every: str | int, epoch: int, most: int) -> int:
    """An interval of the recipe, in updates, or a smaller one, to have it happen often enough in a short training."""
    return max(1, min({"epoch": epoch, "end": most}.get(str(every)) or int(every), most))


def _many(processes: int) -> str:
    return f"{processes} process{'es' if processes > 1 else ''}"
