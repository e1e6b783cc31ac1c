"""Which examples form which update, how they are cut, at what learning rate: pure arithmetic.

Everything here follows from the recipe, the examples' lengths and the update's number. The number of
processes enters in one place only, `Plan.micro_batches`, where an update that has fewer micro-batches
than there are processes is cut finer.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from accel_cls.errors import UserError
from accel_cls.recipe import Recipe

# Padded widths are multiples of this: few different shapes keep CPU memory flat.
WIDTH_STEP = 16
# On XLA, which compiles a program for each shape, there are at most so many widths.
XLA_WIDTHS = 8
# What a pass through the model costs besides its tokens, in tokens. A constant, not a measurement of the
# machine at hand: how an update is cut must not depend on the hardware.
PASS_TOKENS = 256


@dataclass(frozen=True)
class MicroBatch:
    """The part of an update, or of an evaluation, that goes through the model at once."""

    examples: tuple[int, ...]  # positions in the data set; empty for a process that only keeps step
    width: int  # tokens in each row, padding included


def padded_width(length: int, longest: int, step: int = WIDTH_STEP) -> int:
    """`length` rounded up to a multiple of `step`, at most `longest`."""
    return min(longest, -(-length // step) * step)


def padded_widths(lengths: np.ndarray, longest: int, step: int) -> np.ndarray:
    """The same for many lengths."""
    return np.minimum(longest, -(-lengths // step) * step)


def width_step(longest: int, few_shapes: bool) -> int:
    """The step of widths: with `few_shapes` a multiple of WIDTH_STEP that makes them XLA_WIDTHS or fewer."""
    return WIDTH_STEP * max(1, -(-longest // (XLA_WIDTHS * WIDTH_STEP))) if few_shapes else WIDTH_STEP


def cut(
    examples: np.ndarray, lengths: np.ndarray, tokens: int, longest: int, step: int = WIDTH_STEP
) -> list[MicroBatch]:
    """Cut examples into micro-batches of at most `tokens` padded tokens, the longest texts first.

    Texts of like length go together, as far as less padding is worth another pass through the model: of
    all ways to cut the examples, sorted by length, it is the one with the least padded tokens + PASS_TOKENS
    for each pass (dynamic programming: 0.1 ms for 32 examples, 0.3 s for 100,000).

    Args:
        examples: int, positions in the data set, any order.
        lengths: int, tokens of each example of the whole data set.
        tokens: the most padded tokens (rows x width) of a micro-batch; at least `longest`.
        longest: the widest row, to which rounding up is limited.
        step: widths are multiples of it.
    """
    # Longest first, so that running out of memory shows in the first micro-batch; equal lengths by position.
    order = examples[np.lexsort((examples, -lengths[examples]))]
    widths = padded_widths(lengths[order], longest, step)
    count = len(order)
    cost = np.zeros(count + 1, np.int64)  # least cost of all examples from this one on
    rows = np.zeros(count, np.int64)  # rows of the micro-batch that begins with this one
    sizes = np.arange(1, tokens // int(widths[-1]) + 1)
    for i in range(count - 1, -1, -1):
        most = min(tokens // int(widths[i]), count - i)
        costs = sizes[:most] * int(widths[i]) + cost[i + 1 : i + 1 + most]
        best = int(costs.argmin())
        rows[i], cost[i] = best + 1, costs[best] + PASS_TOKENS
    micro_batches, i = [], 0
    while i < count:
        part = order[i : i + rows[i]]
        micro_batches.append(MicroBatch(tuple(part.tolist()), int(widths[i])))
        i += int(rows[i])
    return micro_batches


@dataclass(frozen=True)
class Cutting:
    """How the updates of an epoch are cut for a number of processes, on average."""

    micro_batches: float  # an update
    padding: float  # share of the padded tokens
    finer: float  # share of the updates that are cut finer than on one process
    busy: float  # share of the processes' time in which they have something to do
    shapes: frozenset[tuple[int, int]]  # (rows, width) of all micro-batches


@dataclass(frozen=True)
class Plan:
    """The whole training, as numbers."""

    lengths: np.ndarray  # int32: tokens of each training example, special tokens included
    longest: int  # data.max_length
    batch_size: int
    micro_batch_tokens: int
    min_micro_batches: int
    epochs: int
    max_updates: int | None
    learning_rate: float
    warmup: float | int
    schedule: str
    seed: int
    width_step: int = WIDTH_STEP

    @classmethod
    def of(cls, recipe: Recipe, lengths: np.ndarray, few_shapes: bool = False) -> Plan:
        """The plan of a recipe for training examples of these lengths; with `few_shapes` for XLA.

        Raises:
            UserError: where the warm-up is longer than the run.
        """
        train = recipe.train
        assert train.micro_batch_tokens != "auto"  # `auto` has become a number before anything is planned
        plan = cls(
            lengths=lengths,
            longest=recipe.data.max_length,
            batch_size=train.batch_size,
            micro_batch_tokens=train.micro_batch_tokens,
            min_micro_batches=train.min_micro_batches,
            epochs=train.epochs,
            max_updates=train.max_updates,
            learning_rate=train.learning_rate,
            warmup=train.warmup,
            schedule=train.schedule,
            seed=recipe.seed,
            width_step=width_step(recipe.data.max_length, few_shapes),
        )
        if isinstance(plan.warmup, int) and plan.warmup and plan.warmup >= plan.scheduled_updates:
            raise UserError(
                f"train.warmup: found {plan.warmup} updates; expected less than the {plan.scheduled_updates:,} of the "
                f"run ({plan.epochs} epochs × {plan.updates_per_epoch:,}): the rate would never reach its height"
            )
        return plan

    @property
    def updates_per_epoch(self) -> int:
        """Updates in one pass over the examples; the last one may be smaller than the others."""
        return -(-len(self.lengths) // self.batch_size)

    @property
    def scheduled_updates(self) -> int:
        """Updates over which the learning rate is laid out."""
        return self.epochs * self.updates_per_epoch

    @property
    def updates(self) -> int:
        """Updates that the run makes: all that are scheduled, unless max_updates stops it early."""
        return min(self.scheduled_updates, self.max_updates or self.scheduled_updates)

    @property
    def warmup_updates(self) -> int:
        """Updates over which the rate rises."""
        if isinstance(self.warmup, float):
            return math.ceil(self.warmup * self.scheduled_updates)
        return self.warmup

    def rate(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        if update < self.warmup_updates:
            # (update + 1): an update at rate 0 would be a forward and backward pass for nothing.
            return self.learning_rate * (update + 1) / (self.warmup_updates + 1)
        if self.schedule == "constant":
            return self.learning_rate
        past = (update - self.warmup_updates) / max(1, self.scheduled_updates - self.warmup_updates)
        if self.schedule == "linear":
            return self.learning_rate * (1 - past)
        assert self.schedule == "cosine", self.schedule
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * past))

    def examples(self, update: int) -> np.ndarray:
        """The examples of an update, int64, in the order of the epoch's permutation."""
        epoch, position = divmod(update, self.updates_per_epoch)
        order = _permutation(len(self.lengths), self.seed, epoch)
        return order[position * self.batch_size : (position + 1) * self.batch_size]

    def micro_batches(self, update: int, processes: int = 1) -> list[MicroBatch]:
        """How an update is cut; process p of P takes the micro-batches p, p + P, p + 2P ..."""
        micro_batches = cut(
            self.examples(update), self.lengths, self.micro_batch_tokens, self.longest, self.width_step
        )
        while len(micro_batches) < max(processes, self.min_micro_batches):
            largest = max(range(len(micro_batches)), key=lambda i: len(micro_batches[i].examples))
            whole = micro_batches[largest]
            if len(whole.examples) < 2:
                break  # fewer examples than processes: the others keep step with an empty micro-batch
            half = len(whole.examples) // 2
            parts = [MicroBatch(part, self.width(part)) for part in (whole.examples[:half], whole.examples[half:])]
            micro_batches[largest : largest + 1] = parts
        return micro_batches

    def width(self, examples: Iterable[int]) -> int:
        """The padded width of a row that holds the longest of these examples."""
        return padded_width(max(int(self.lengths[i]) for i in examples), self.longest, self.width_step)

    def cutting(self, processes: int) -> Cutting:
        """How the first epoch's updates are cut: all of them, or 200 of a long epoch, evenly chosen."""
        count = self.updates_per_epoch
        sample = range(0, count, max(1, count // 200))  # enough for two digits, and quick for millions
        cuts = [self.micro_batches(update, processes) for update in sample]
        finer = 0  # on one process, the cut is the one that it is compared with
        if processes > 1:
            finer = sum(len(cut) != len(self.micro_batches(u)) for cut, u in zip(cuts, sample, strict=True))
        padded = [[len(part.examples) * part.width for part in cut] for cut in cuts]
        # In each round the processes wait for the one with the most to do.
        rounds = [sizes[i : i + processes] for sizes in padded for i in range(0, len(sizes), processes)]
        return Cutting(
            micro_batches=sum(map(len, cuts)) / len(cuts),
            padding=1 - sum(int(self.lengths[self.examples(u)].sum()) for u in sample) / sum(map(sum, padded)),
            finer=finer / len(cuts),
            busy=sum(map(sum, padded)) / sum(processes * max(sizes) for sizes in rounds),
            shapes=frozenset((len(part.examples), part.width) for cut in cuts for part in cut),
        )

    def programs(self, judged: np.ndarray) -> str:
        """About how many programs XLA compiles, where examples of these lengths are judged."""
        learn, judge = (
            len(np.unique(padded_widths(lengths, self.longest, self.width_step))) for lengths in (self.lengths, judged)
        )
        each = f"{learn} for widths to learn from, {judge} for those to judge by, one for the optimizer's step"
        return f"XLA compiles about {learn + judge + 1}: {each}; the first updates take long"

    def describe(self, recipe: Recipe, processes: int) -> list[tuple[str, str]]:
        """Name and text of each line of the banner that is about the plan: the arithmetic, spelled out."""
        updates = (
            f"{self.scheduled_updates:,} = {self.epochs} epochs × {self.updates_per_epoch:,} "
            f"({len(self.lengths):,} examples / {self.batch_size} an update, rounded up)"
        )
        if self.updates < self.scheduled_updates:
            updates += f"; train.max_updates stops after {self.updates:,}"
        fall = {"constant": "stays", "linear": "falls to 0", "cosine": "falls to 0 as a cosine"}[self.schedule]
        many = f"{self.warmup_updates:,} update{'s' if self.warmup_updates > 1 else ''}"
        start = (
            f"rises to {self.learning_rate:g} over {many}"
            if self.warmup_updates
            else f"starts at {self.learning_rate:g}"
        )
        rate = f"{start}, then {fall}"
        cutting = self.cutting(processes)
        micro = (
            f"{cutting.micro_batches:.1f} an update, of at most {self.micro_batch_tokens:,} padded tokens; "
            f"{cutting.padding:.0%} of them padding"
        )
        lines = [("updates", updates), ("rate", rate), ("micro-batches", micro)]
        idle = processes - min(self.batch_size, len(self.lengths))
        if idle > 0:
            lines.append(
                (
                    "",
                    f"{idle:,} of the {processes:,} processes idle: an update has {processes - idle:,} examples",
                )
            )
        elif cutting.finer:
            lines.append(
                (
                    "",
                    f"{cutting.finer:.0%} of the updates are cut finer than on one process, so that none of "
                    f"the {processes} idles: the same gradient but for dropout's draws, which "
                    f"train.min_micro_batches={processes} makes the same, too",
                )
            )
        every = {"epoch": "each epoch"}
        score = every.get(str(recipe.evaluate.every), f"every {recipe.evaluate.every} updates")
        save = every.get(str(recipe.checkpoint.every), f"every {recipe.checkpoint.every} updates")
        lines.append(
            (
                "evaluation",
                f"{score}, best by {recipe.evaluate.best}; checkpoint {save}, the newest {recipe.checkpoint.keep} "
                "and the best are kept",
            )
        )
        return lines


@functools.lru_cache(maxsize=2)  # this epoch's and the next one's
def _permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def share(micro_batches: Sequence[MicroBatch], process: int, processes: int) -> list[tuple[int, MicroBatch]]:
    """One process's micro-batches with their index in the update, filled up with empty ones.

    All processes get equally many, since under FSDP each forward pass is a collective operation.
    """
    steps = -(-len(micro_batches) // processes)
    idle = MicroBatch((), micro_batches[0].width)
    indices = range(process, steps * processes, processes)
    return [(i, micro_batches[i] if i < len(micro_batches) else idle) for i in indices]


def seed_of(seed: int, update: int, micro_batch: int) -> int:
    """The seed of the random numbers drawn inside one micro-batch: its position, well mixed, in 32 bits."""
    return int(np.random.SeedSequence([seed, update, micro_batch]).generate_state(1)[0])


def is_due(every: str | int, update: int, plan: Plan) -> bool:
    """Whether something that happens `every` epoch or N updates is due after so many finished updates."""
    interval = plan.updates_per_epoch if every == "epoch" else int(every)
    return update % interval == 0 or update == plan.updates
