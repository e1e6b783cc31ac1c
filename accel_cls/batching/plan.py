"""Which examples form which update, in which micro-batches, at what learning rate: pure arithmetic.

Everything here follows from the recipe, the examples' lengths and the update's number. The number of
processes enters in one place only, `Plan.micro_batches`, where an update that has fewer micro-batches
than there are processes is cut finer.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from accel_cls.batching.layout import Layout, MicroBatch, padded_widths, width_step
from accel_cls.batching.sampling import ClassesAlike, order_of
from accel_cls.batching.schedule import Schedule, check_warmup
from accel_cls.recipe import Recipe


def updates_of(recipe: Recipe, examples: int) -> int:
    """Updates that a recipe makes of so many examples at the most; with a frozen encoder one, which is the fit."""
    train = recipe.train
    return 1 if recipe.model.is_fitted else count_updates(examples, train.batch_size, train.epochs, train.max_updates)


def count_updates(examples: int, batch_size: int, epochs: int, max_updates: int | None = None) -> int:
    """Updates in so many passes over the examples, of each of which the last may be smaller; at most `max_updates`."""
    scheduled = epochs * -(-examples // batch_size)
    return min(scheduled, max_updates or scheduled)


@dataclass(frozen=True)
class MicroBatchStats:
    """The micro-batches of an epoch's updates on a number of processes: their mean number, padding, balance."""

    micro_batches: float  # an update
    padding: float  # share of the padded tokens
    finer: float  # share of the updates that have more micro-batches than on one process
    busy: float  # utilization: share of the processes' time in which they have something to do
    shapes: frozenset[tuple[int, int]]  # (rows, width) of all micro-batches; of packed ones, what would need as much


@dataclass(frozen=True)
class Plan:
    """The whole training, as numbers."""

    lengths: np.ndarray  # int32: tokens of each training example, special tokens included
    layout: Layout
    batch_size: int
    min_micro_batches: int
    epochs: int
    max_updates: int | None
    learning_rate: float
    warmup: float | int
    schedule: str
    seed: int
    decay: float = 0.1
    power: float = 2.0
    windows: np.ndarray | None = None  # int32: windows of each training example; None where each has one
    sampling: ClassesAlike | None = None  # None: an epoch has each example once

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        lengths: np.ndarray,
        few_shapes: bool = False,
        packed: bool = False,
        windows: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        pairs: np.ndarray | None = None,
    ) -> Plan:
        """The plan of a recipe for training examples of these lengths and windows; with `few_shapes` for XLA.

        Args:
            classes: of each example, for train.sampling: balanced; see `ClassesAlike`.
            pairs: int64 [examples, 2], of a recipe whose examples are pairs of these texts, each text a window.

        Raises:
            UserError: where the warm-up is longer than the run.
        """
        train = recipe.train
        # `auto` has become a number before anything is planned.
        assert train.micro_batch_tokens != "auto"
        assert train.learning_rate != "auto"
        longest, frozen = recipe.data.max_length, recipe.model.is_fitted
        assert (pairs is not None) == recipe.learns_from_pairs
        if pairs is not None:
            own, windows = lengths[pairs], np.full(len(pairs), 2, np.int32)
            lengths = (own.sum(1) if packed else 2 * own.max(1)).astype(np.int32)  # padded, both are as wide
        sampling = None
        if train.sampling == "balanced" and not frozen:
            assert classes is not None
            sampling = ClassesAlike(classes)
        plan = cls(
            lengths=lengths,
            layout=Layout(train.micro_batch_tokens, longest, width_step(longest, few_shapes), packed),
            batch_size=len(lengths) if frozen else train.batch_size,
            min_micro_batches=train.min_micro_batches,
            epochs=1 if frozen else train.epochs,
            max_updates=None if frozen else train.max_updates,
            learning_rate=train.learning_rate,
            warmup=0.0 if frozen else train.warmup,
            schedule=train.schedule,
            seed=recipe.seed,
            decay=train.decay,
            power=train.power,
            windows=windows,
            sampling=sampling,
        )
        check_warmup(plan.warmup, plan.epochs, plan.updates_per_epoch)
        return plan

    @property
    def updates_per_epoch(self) -> int:
        """Updates in one pass over the examples; the last one may be smaller than the others."""
        return count_updates(len(self.lengths), self.batch_size, 1)

    @property
    def scheduled_updates(self) -> int:
        """Updates over which the learning rate is laid out."""
        return count_updates(len(self.lengths), self.batch_size, self.epochs)

    @property
    def updates(self) -> int:
        """Updates that the run makes: all that are scheduled, unless max_updates stops it early."""
        return count_updates(len(self.lengths), self.batch_size, self.epochs, self.max_updates)

    @property
    def tokens_per_epoch(self) -> int:
        """Tokens of an epoch's examples, without padding; where classes are sampled, of the first epoch's."""
        order = order_of(len(self.lengths), self.sampling, self.seed, 0)
        return int(self.lengths[order].sum())

    @functools.cached_property
    def rates(self) -> Schedule:
        """The learning rate of each update."""
        return Schedule(self.schedule, self.learning_rate, self.warmup, self.scheduled_updates, self.decay, self.power)

    @property
    def warmup_updates(self) -> int:
        """Updates over which the rate rises."""
        return self.rates.warmup_updates

    def rate(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        return self.rates.rate(update)

    def examples(self, update: int) -> np.ndarray:
        """The examples of an update, int64, in the order of the epoch."""
        epoch, position = divmod(update, self.updates_per_epoch)
        order = order_of(len(self.lengths), self.sampling, self.seed, epoch)
        return order[position * self.batch_size : (position + 1) * self.batch_size]

    def micro_batches(self, update: int, processes: int = 1) -> list[MicroBatch]:
        """The micro-batches of an update; process p of P takes p, p + P, p + 2P ..."""
        return self.layout.to_micro_batches(
            self.examples(update), self.lengths, max(processes, self.min_micro_batches), self.windows
        )

    def micro_batch_stats(self, processes: int) -> MicroBatchStats:
        """Of the first epoch's updates: all of them, or 200 of a long epoch, evenly chosen."""
        count = self.updates_per_epoch
        sample = range(0, count, max(1, count // 200))  # enough for two digits, and quick for millions
        updates = [self.micro_batches(update, processes) for update in sample]
        finer = 0  # one process is what the others are compared with
        if processes > 1:
            finer = sum(len(parts) != len(self.micro_batches(u)) for parts, u in zip(updates, sample, strict=True))
        tokens = [[part.tokens for part in parts] for parts in updates]
        # In each round the processes wait for the one with the most to do.
        rounds = [sizes[i : i + processes] for sizes in tokens for i in range(0, len(sizes), processes)]
        return MicroBatchStats(
            micro_batches=sum(map(len, updates)) / len(updates),
            padding=1 - sum(int(self.lengths[self.examples(u)].sum()) for u in sample) / sum(map(sum, tokens)),
            finer=finer / len(updates),
            busy=sum(map(sum, tokens)) / sum(processes * max(sizes) for sizes in rounds),
            shapes=frozenset(
                self.layout.padded_shape(part, self.lengths, self.windows) for parts in updates for part in parts
            ),
        )

    def programs(self, validation: np.ndarray) -> str:
        """About how many programs XLA compiles, with validation examples of these lengths."""
        train_widths, validation_widths = (
            len(np.unique(padded_widths(lengths, self.layout.longest, self.layout.step)))
            for lengths in (self.lengths, validation)
        )
        each = (
            f"{train_widths} for widths of training, {validation_widths} for those of validation, one for the "
            "optimizer's step"
        )
        return f"XLA compiles about {train_widths + validation_widths + 1}: {each}; the first updates take long"

    def describe(self, recipe: Recipe, processes: int) -> list[tuple[str, str]]:
        """Name and text of each line of the banner that is about the plan: the arithmetic, spelled out."""
        refit = [("refit", "then once more, validation examples included: about as long again")] * recipe.is_refitted
        if recipe.model.is_fitted:
            return [self._describe_fit(processes), ("evaluation", f"at the end, by {recipe.evaluate.best}"), *refit]
        examples = "pairs of texts" if recipe.learns_from_pairs else "examples"
        updates = (
            f"{self.scheduled_updates:,} = {self.epochs} epochs × {self.updates_per_epoch:,} "
            f"({len(self.lengths):,} {examples} / {self.batch_size} an update, rounded up)"
        )
        if self.updates < self.scheduled_updates:
            updates += f"; train.max_updates stops after {self.updates:,}"
        stats = self.micro_batch_stats(processes)
        kind = "tokens, packed" if self.layout.packed else "padded tokens"
        micro = (
            f"{stats.micro_batches:.1f} an update, of at most {self.layout.tokens:,} {kind}; "
            f"{stats.padding:.0%} of them padding"
        )
        if self.sampling is not None:
            each = len(self.lengths) / len(np.unique(self.sampling.classes))
            updates += f"; an epoch has about {each:,.0f} examples of each class, drawn anew"
        lines = [("updates", updates), ("rate", self.rates.describe(self.updates)), ("micro-batches", micro)]
        idle = processes - min(self.batch_size, len(self.lengths))
        if idle > 0:
            lines.append(
                (
                    "",
                    f"{idle:,} of the {processes:,} processes idle: an update has {processes - idle:,} {examples}",
                )
            )
        elif stats.finer:
            lines.append(
                (
                    "",
                    f"{stats.finer:.0%} of the updates are cut finer than on one process, so that none of "
                    f"the {processes} idles: the same gradient but for {self._differing(recipe)}, which "
                    f"train.min_micro_batches={processes} makes the same, too",
                )
            )
        every = {"epoch": "each epoch", "end": "at the end"}
        score = every.get(str(recipe.evaluate.every), f"every {recipe.evaluate.every} updates")
        if recipe.judges_fitted_head:
            score = f"of the fitted head, then {score}"
        if recipe.learns_from_pairs:
            score += ", of a head that is fitted to the encoder there"
        save = every.get(str(recipe.checkpoint.every), f"every {recipe.checkpoint.every} updates")
        lines.append(
            (
                "evaluation",
                f"{score}, best by {recipe.evaluate.best}; checkpoint {save}, the newest {recipe.checkpoint.keep} "
                "and the best are kept",
            )
        )
        return [*lines, *refit]

    @staticmethod
    def _differing(recipe: Recipe) -> str:
        """What of an update depends on its cut."""
        return (
            "dropout's draws and what the contrastive loss compares" if recipe.loss.contrastive else "dropout's draws"
        )

    def _describe_fit(self, processes: int) -> tuple[str, str]:
        """The line about a training that is a fit of the head to the encoder as it is."""
        passes = len(self.micro_batches(0, processes))
        return (
            "updates",
            f"none by gradients: the {len(self.lengths):,} training texts go through the encoder once, in {passes:,} "
            f"micro-batches of at most {self.layout.tokens:,} tokens; then the head is fitted to what comes out",
        )


def seed_of(seed: int, update: int, micro_batch: int) -> int:
    """The seed of the random numbers drawn inside one micro-batch: its position, well mixed, in 32 bits."""
    return int(np.random.SeedSequence([seed, update, micro_batch]).generate_state(1)[0])


def is_due(every: str | int, update: int, plan: Plan) -> bool:
    """Whether something that happens `every` epoch, N updates or at the end is due after so many finished updates."""
    interval = {"epoch": plan.updates_per_epoch, "end": plan.updates}.get(str(every)) or int(every)
    return update % interval == 0 or update == plan.updates
