"""The ways to train one recipe that are compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from accel_cls.errors import UserError
from accel_cls.profiles import Profile, profile_to_launch
from accel_cls.recipe import Recipe

PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}  # as users say it: as accelerate says it

# Half of the last digit that a number of each precision has: what rounding makes it wrong by.
ROUNDING = {"no": 2.0**-24, "bf16": 2.0**-9, "fp16": 2.0**-12}


@dataclass(frozen=True)
class Leg:
    """One training command; a case that is continued has two."""

    profile: Profile
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One way to train the recipe."""

    name: str
    legs: tuple[Leg, ...]
    dropout: bool = True  # False where its draws can't be the same as in what it is compared with
    same_cut: bool = True  # whether its micro-batches have to be the reference's


@dataclass(frozen=True)
class Pair:
    """A case, and what it is compared with."""

    reference: Case
    case: Case

    @property
    def precision(self) -> str:
        """The lowest precision that either is trained in, as accelerate says it."""
        found = {leg.profile.mixed_precision for case in (self.reference, self.case) for leg in case.legs}
        return max(found, key=lambda precision: ROUNDING.get(precision, 1.0))


@dataclass(frozen=True)
class Wanted:
    """What to compare, as the command line says it. The first of each list is the reference."""

    processes: Sequence[int] = (1,)
    hardware: Sequence[str] = ()  # profiles, by name or path
    precisions: Sequence[str] = ()  # of PRECISIONS; a single one goes for all
    micro_batches: Sequence[int] = ()  # multiples of train.micro_batch_tokens
    resume: bool = False
    updates: int = 200


def pairs_of(recipe: Recipe, wanted: Wanted) -> list[Pair]:
    """Every pair that is asked for; pairs share their references.

    Raises:
        UserError: where nothing is to be compared, or this machine has not what a profile asks for.
    """
    precision = PRECISIONS[wanted.precisions[0]] if wanted.precisions else None

    def profile_of(hardware: str, processes: int | None = None) -> Profile:
        profile = profile_to_launch(hardware, processes)
        assert profile is not None
        return profile.changed(processes, precision)

    base = profile_of(wanted.hardware[0] if wanted.hardware else recipe.hardware, wanted.processes[0])
    reference = Case(str(base), (Leg(base),))
    plain = _without_dropout(reference)
    pairs = []
    for processes in wanted.processes[1:]:
        profile = base.changed(processes)
        pairs.append(Pair(reference, Case(str(profile), (Leg(profile),))))
    for hardware in wanted.hardware[1:]:
        profile = profile_of(hardware)
        case = Case(f"{profile.name}, {profile}", (Leg(profile),))
        # Each kind of device, and each precision, has a random number generator of its own.
        alike = profile.device == base.device and profile.mixed_precision == base.mixed_precision
        pairs.append(Pair(reference, case) if alike else Pair(plain, _without_dropout(case)))
    for name in wanted.precisions[1:]:
        profile = base.changed(mixed_precision=PRECISIONS[name])
        pairs.append(Pair(plain, _without_dropout(Case(str(profile), (Leg(profile),)))))
    tokens = recipe.train.micro_batch_tokens
    for times in wanted.micro_batches:
        if times != 1:
            assert tokens != "auto"
            leg = Leg(base, (f"train.micro_batch_tokens={times * tokens}",))
            case = Case(f"{base}, micro-batches × {times}", (leg,), same_cut=False)
            pairs.append(Pair(plain, _without_dropout(case)))
    half = wanted.updates // 2
    for processes in wanted.processes if wanted.resume and half else ():
        profile = base.changed(processes)
        legs = (Leg(base, (f"train.max_updates={half}",)), Leg(profile))
        many = "process" if processes == 1 else "processes"
        pairs.append(Pair(reference, Case(f"{base}, continued after update {half} by {processes} {many}", legs)))
    if not pairs:
        raise UserError(
            "there is nothing to compare: name two or more with --processes 1,2 or --hardware cpu,gpu or "
            "--precision fp32,bf16, or use --micro-batches 1,2 or --resume"
        )
    return pairs


def control_of(pair: Pair, recipe: Recipe) -> Case:
    """The reference once more, its learning rate larger by half a last digit: how far rounding alone can lead."""
    rate = recipe.train.learning_rate * (1 + ROUNDING.get(pair.precision, ROUNDING["bf16"]))
    legs = tuple(
        replace(leg, overrides=(*leg.overrides, f"train.learning_rate={rate!r}")) for leg in pair.reference.legs
    )
    return replace(pair.reference, name=f"{pair.reference.name}, control", legs=legs)


def _without_dropout(case: Case) -> Case:
    return replace(case, name=f"{case.name}, no dropout", dropout=False)
