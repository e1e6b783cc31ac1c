"""The ways to train one recipe that are compared with each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accel_cls.errors import UserError
from accel_cls.parity.options import PRECISIONS, ParityOptions
from accel_cls.profiles import Profile, profile_to_launch
from accel_cls.recipe import Recipe

# Half of the last digit that a number of each precision has: what rounding makes it wrong by.
ROUNDING = {"no": 2.0**-24, "bf16": 2.0**-9, "fp16": 2.0**-12}


@dataclass(frozen=True)
class Launch:
    """One start of the training command; a case that is resumed has two."""

    profile: Profile
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One way to train the recipe."""

    name: str
    launches: tuple[Launch, ...]
    dropout: bool = True  # False where its draws can't be the same as in what it is compared with
    same_cut: bool = True  # whether its micro-batches have to be the reference's


@dataclass(frozen=True)
class Pair:
    """A case and the reference run that it is compared with."""

    reference: Case
    case: Case

    @property
    def precision(self) -> str:
        """The lowest precision that either is trained in, as accelerate says it."""
        found = {launch.profile.mixed_precision for case in (self.reference, self.case) for launch in case.launches}
        return max(found, key=lambda precision: ROUNDING.get(precision, 1.0))


def make_pairs(recipe: Recipe, options: ParityOptions) -> list[Pair]:
    """Every pair that the options ask for; pairs share their reference runs.

    Raises:
        UserError: where nothing is to be compared, or this machine has not what a profile asks for.
    """
    precision = PRECISIONS[options.precisions[0]] if options.precisions else None

    def profile_of(hardware: str, processes: int | None = None) -> Profile:
        profile = profile_to_launch(hardware, processes)
        assert profile is not None
        return profile.changed(processes, precision)

    base = profile_of(options.hardware[0] if options.hardware else recipe.hardware, options.processes[0])
    reference = Case(str(base), (Launch(base),))
    plain = _without_dropout(reference)
    pairs = []
    for processes in options.processes[1:]:
        profile = base.changed(processes)
        pairs.append(Pair(reference, Case(str(profile), (Launch(profile),))))
    for hardware in options.hardware[1:]:
        profile = profile_of(hardware)
        case = Case(f"{profile.name}, {profile}", (Launch(profile),))
        # Each kind of device, and each precision, has a random number generator of its own.
        alike = profile.device == base.device and profile.mixed_precision == base.mixed_precision
        pairs.append(Pair(reference, case) if alike else Pair(plain, _without_dropout(case)))
    for name in options.precisions[1:]:
        profile = base.changed(mixed_precision=PRECISIONS[name])
        pairs.append(Pair(plain, _without_dropout(Case(str(profile), (Launch(profile),)))))
    tokens = recipe.train.micro_batch_tokens
    for times in options.micro_batches:
        if times != 1:
            assert tokens != "auto"
            launch = Launch(base, (f"train.micro_batch_tokens={times * tokens}",))
            case = Case(f"{base}, micro-batches × {times}", (launch,), same_cut=False)
            pairs.append(Pair(plain, _without_dropout(case)))
    half = options.updates // 2
    for processes in options.processes if options.resume and half else ():
        profile = base.changed(processes)
        launches = (Launch(base, (f"train.max_updates={half}",)), Launch(profile))
        many = "process" if processes == 1 else "processes"
        pairs.append(Pair(reference, Case(f"{base}, continued after update {half} by {processes} {many}", launches)))
    if not pairs:
        raise UserError(
            "there is nothing to compare: name two or more with --processes 1,2 or --hardware cpu,gpu or "
            "--precision fp32,bf16, or use --micro-batches 1,2 or --resume"
        )
    return pairs


def make_control(pair: Pair, recipe: Recipe) -> Case:
    """The reference with a learning rate that is larger by half a last digit: how far rounding alone can lead."""
    assert recipe.train.learning_rate != "auto"  # refused before
    rate = recipe.train.learning_rate * (1 + ROUNDING.get(pair.precision, ROUNDING["bf16"]))
    launches = tuple(
        replace(launch, overrides=(*launch.overrides, f"train.learning_rate={rate!r}"))
        for launch in pair.reference.launches
    )
    return replace(pair.reference, name=f"{pair.reference.name}, control", launches=launches)


def _without_dropout(case: Case) -> Case:
    return replace(case, name=f"{case.name}, no dropout", dropout=False)
