"""The arithmetic of a training: updates, micro-batches, shares, seeds, rates."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_cls.batching.layout import Layout, MicroBatch, share, width_step
from accel_cls.batching.plan import Plan, is_due, seed_of
from accel_cls.errors import UserError
from accel_cls.recipe import Recipe

thorough = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def plan_of(lengths, layout=Layout(128, 64), **changes):  # noqa: B008 - it is frozen
    values = {
        "lengths": np.asarray(lengths, np.int32),
        "layout": layout,
        "batch_size": 8,
        "min_micro_batches": 1,
        "epochs": 3,
        "max_updates": None,
        "learning_rate": 1e-3,
        "warmup": 0,
        "schedule": "linear",
        "seed": 42,
    }
    return Plan(**(values | changes))


@st.composite
def plans(draw, packed=None):
    longest = draw(st.integers(8, 130))
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=60))
    tokens = draw(st.integers(longest, 12 * longest))
    batch_size = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    packed = draw(st.booleans()) if packed is None else packed
    return plan_of(lengths, Layout(tokens, longest, packed=packed), batch_size=batch_size, seed=seed)


def examples_of(micro_batches):
    return Counter(example for part in micro_batches for example in part.examples)


# Updates


@thorough
@given(plans())
def test_updates_of_an_epoch_hold_each_example_once(plan):
    for epoch in range(3):
        first = epoch * plan.updates_per_epoch
        updates = [plan.examples(first + i) for i in range(plan.updates_per_epoch)]
        assert sorted(np.concatenate(updates)) == list(range(len(plan.lengths)))
        assert all(len(update) == plan.batch_size for update in updates[:-1])


@pytest.mark.parametrize(
    ("seed", "update", "examples"),
    [
        (42, 0, [5, 25, 20, 49, 39, 27, 47, 45]),
        (42, 6, [13, 8]),  # the last of the first epoch
        (42, 7, [33, 35, 26, 1, 14, 2, 9, 21]),
        (42, 20, [17, 42]),
        (43, 0, [41, 5, 1, 33, 29, 42, 12, 40]),
    ],
)
def test_order_of_a_seed_and_an_epoch_never_changes(seed, update, examples):
    """Another order would be another training, and a checkpoint would go on with examples that it has had."""
    assert plan_of([5] * 50, seed=seed).examples(update).tolist() == examples


def test_count_of_updates():
    plan = plan_of([5] * 17)
    assert (plan.updates_per_epoch, plan.scheduled_updates, plan.updates) == (3, 9, 9)
    assert plan_of([5] * 17, max_updates=4).updates == 4
    assert plan_of([5] * 17, max_updates=400).updates == 9


# Micro-batches


@thorough
@given(plans(), st.integers(1, 9))
def test_micro_batches_hold_the_update_once_within_the_token_limit(plan, processes):
    for update in range(plan.updates_per_epoch):
        parts = plan.micro_batches(update, processes)
        assert examples_of(parts) == Counter(plan.examples(update).tolist())
        for part in parts:
            assert part.examples
            assert part.packed == plan.layout.packed
            lengths = plan.lengths[list(part.examples)]
            if part.packed:
                assert lengths.sum() <= plan.layout.tokens
                assert lengths.sum() < part.width <= lengths.sum() + 32
            else:
                assert part.tokens <= plan.layout.tokens
                assert max(lengths) <= part.width <= plan.layout.longest


@thorough
@given(plans(), st.integers(2, 9))
def test_processes_matter_only_where_micro_batches_are_too_few(plan, processes):
    for update in range(plan.updates_per_epoch):
        alone = plan.micro_batches(update)
        together = plan.micro_batches(update, processes)
        if len(alone) >= processes:
            assert together == alone
        else:
            assert len(together) == min(processes, len(plan.examples(update)))


@thorough
@given(plans(), st.integers(1, 9), st.integers(1, 9))
def test_with_as_many_micro_batches_processes_do_not_matter_at_all(plan, least, processes):
    plan = replace(plan, min_micro_batches=least)
    for update in range(plan.updates_per_epoch):
        alone = plan.micro_batches(update)
        assert len(alone) >= min(least, len(plan.examples(update)))
        if processes <= least:
            assert plan.micro_batches(update, processes) == alone


LENGTHS = [(i * 37) % 61 + 4 for i in range(60)]  # 4 to 64 tokens, all but evenly


@pytest.mark.parametrize(
    ("packed", "processes", "micro_batches", "padding", "finer", "busy"),
    [
        (False, 1, 3.125, 0.23884, 0.0, 1.0),
        (False, 2, 3.125, 0.23884, 0.0, 0.72414),  # 3 micro-batches for 2: one of them waits in the second round
        (False, 3, 3.25, 0.23884, 0.125, 0.83582),
        (True, 1, 2.75, 0.1475, 0.0, 1.0),
        (True, 2, 2.75, 0.1475, 0.0, 0.76531),
        (True, 3, 3.0, 0.15872, 0.25, 0.87356),
    ],
)
def test_averages_of_the_cut(packed, processes, micro_batches, padding, finer, busy):
    found = plan_of(LENGTHS, Layout(128, 64, packed=packed)).micro_batch_stats(processes)
    averages = (found.micro_batches, found.padding, found.finer, found.busy)
    assert averages == pytest.approx((micro_batches, padding, finer, busy), abs=1e-5)


# Shapes on XLA


@thorough
@given(plans(packed=False))
def test_updates_on_xla_are_the_same_in_few_widths(plan):
    step = width_step(plan.layout.longest, few_shapes=True)
    few = replace(plan, layout=replace(plan.layout, step=step))
    for update in range(plan.updates_per_epoch):
        parts = few.micro_batches(update, 2)
        assert examples_of(parts) == Counter(plan.examples(update).tolist())
        for part in parts:
            assert part.width % step == 0 or part.width == plan.layout.longest
            assert part.tokens <= plan.layout.tokens


def test_programs_are_counted():
    plan = plan_of([5, 17, 40], Layout(512, 512, step=64))
    said = "XLA compiles about 4: 1 for widths of training, 2 for those of validation, one for the optimizer's step"
    assert plan.programs(np.array([3, 60, 65])).startswith(said)


# Shares


@thorough
@given(plans(), st.integers(1, 9))
def test_share_covers_all_and_keeps_step(plan, processes):
    parts = plan.micro_batches(0, processes)
    shares = [share(parts, process, processes) for process in range(processes)]
    assert len({len(mine) for mine in shares}) == 1
    held = [(index, part) for mine in shares for index, part in mine]
    real = sorted((index, part.examples) for index, part in held if part.examples)
    assert real == [(index, part.examples) for index, part in enumerate(parts)]
    assert len({index for index, _ in held}) == len(held)
    assert all((part.width, part.packed) in {(other.width, other.packed) for other in parts} for _, part in held)


def test_processes_take_micro_batches_in_turn():
    """All processes make pass k at the same time, so that those of about equal length run together."""
    parts = [MicroBatch((i,), 16) for i in range(5)]
    idle = MicroBatch((), 16)
    assert share(parts, 0, 2) == [(0, parts[0]), (2, parts[2]), (4, parts[4])]
    assert share(parts, 1, 2) == [(1, parts[1]), (3, parts[3]), (5, idle)]


@thorough
@given(plans(), st.integers(1, 9))
def test_no_process_idles_while_another_has_two(plan, processes):
    for update in range(plan.updates_per_epoch):
        parts = plan.micro_batches(update, processes)
        real = [
            sum(bool(part.examples) for _, part in share(parts, process, processes)) for process in range(processes)
        ]
        assert max(real) - min(real) <= 1


# Seeds


def test_every_position_has_its_own_seed():
    positions = [(seed, update, part) for seed in (0, 1, 42) for update in range(300) for part in range(5)]
    seeds = [seed_of(*position) for position in positions]
    assert len(set(seeds)) == len(positions)
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    ("position", "seed"),
    [
        ((42, 0, 0), 3444837047),
        ((42, 3, 1), 2958905532),
        ((42, 1, 7), 2737586632),
        ((42, 7, 1), 891417746),
        ((2**32 - 1, 10**6, 99), 1768135659),
    ],
)
def test_seed_of_a_position_never_changes(position, seed):
    assert seed_of(*position) == seed


# The rate

SCHEDULES = ("linear", "cosine", "constant")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rate_rises_to_the_highest_over_the_warmup(schedule):
    plan = plan_of([5] * 80, warmup=6, schedule=schedule)
    rates = [plan.rate(update) for update in range(7)]
    assert rates[0] > 0
    assert np.diff(rates) == pytest.approx(rates[0])
    assert rates[6] == pytest.approx(1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rate_starts_at_the_highest_without_warmup(schedule):
    assert plan_of([5] * 80, schedule=schedule).rate(0) == pytest.approx(1e-3)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_rate_falls_to_zero_at_the_end_of_the_schedule(schedule):
    plan = plan_of([5] * 80, warmup=0.1, schedule=schedule)
    rates = [plan.rate(update) for update in range(plan.warmup_updates, plan.scheduled_updates)]
    assert all(earlier > later > 0 for earlier, later in itertools.pairwise(rates))
    assert plan.rate(plan.scheduled_updates) == pytest.approx(0, abs=1e-12)


def test_linear_and_cosine_are_at_half_in_the_middle():
    for schedule in ("linear", "cosine"):
        plan = plan_of([5] * 80, schedule=schedule)
        assert plan.scheduled_updates == 30
        assert plan.rate(15) == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", [2.5e-4, 7.5e-4, 1e-3, 1e-3 * 20 / 27, 1e-3 * 1 / 27]),
        ("cosine", [2.5e-4, 7.5e-4, 1e-3, 8.431208e-4, 3.380821e-6]),  # (1 + cos(pi 7/27)) / 2 of 1e-3, and of 26/27
        ("constant", [2.5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3]),
    ],
)
def test_rates_of_a_schedule_never_change(schedule, rates):
    """Of 30 updates three warm up: to a quarter, a half, three quarters of the highest."""
    plan = plan_of([5] * 80, warmup=3, schedule=schedule)
    assert [plan.rate(update) for update in (0, 2, 3, 10, 29)] == pytest.approx(rates, rel=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_max_updates_leaves_the_schedule_unchanged(schedule):
    whole = plan_of([5] * 80, warmup=0.1, schedule=schedule)
    stopped = plan_of([5] * 80, warmup=0.1, schedule=schedule, max_updates=4)
    assert [stopped.rate(update) for update in range(30)] == [whole.rate(update) for update in range(30)]
    assert stopped.warmup_updates == whole.warmup_updates == 3


@pytest.mark.parametrize(("warmup", "updates"), [(0, 0), (7, 7), (0.0, 0), (0.5, 15), (0.01, 1), (100, 100)])
def test_warmup_as_a_count_or_a_fraction(warmup, updates):
    assert plan_of([5] * 80, warmup=warmup).warmup_updates == updates


# When something is due


def test_epoch_is_due_at_the_end_of_each_epoch():
    plan = plan_of([5] * 20)
    assert [update for update in range(1, 10) if is_due("epoch", update, plan)] == [3, 6, 9]


def test_every_n_updates_and_always_at_the_end():
    plan = plan_of([5] * 20)
    assert [update for update in range(1, 10) if is_due(4, update, plan)] == [4, 8, 9]
    assert [update for update in range(1, 10) if is_due("end", update, plan)] == [9]


def test_due_where_max_updates_ends_the_run():
    plan = plan_of([5] * 20, max_updates=5)
    assert [update for update in range(1, 6) if is_due("epoch", update, plan)] == [3, 5]


def test_plan_says_so_where_processes_must_idle():
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": {"train": "a.csv"}})
    lines = plan_of([9] * 100, batch_size=4).describe(recipe, 6)
    assert ("", "2 of the 6 processes idle: an update has 4 examples") in lines


@pytest.mark.parametrize(("warmup", "is_refused"), [(29, False), (30, True), (0.99, False), (0, False)])
def test_warmup_must_end_before_the_run(warmup, is_refused):
    train = {"epochs": 3, "batch_size": 10, "warmup": warmup}
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": {"train": "a.csv"}, "train": train})
    if is_refused:
        with pytest.raises(UserError, match=r"train\.warmup: found 30 updates; expected less than the 30"):
            Plan.of(recipe, np.full(100, 9))
    else:
        assert Plan.of(recipe, np.full(100, 9)).scheduled_updates == 30


@pytest.mark.parametrize(
    ("warmup", "examples", "epochs", "updates"),
    [
        (0.9, 24, 1, 2),  # of 3
        (0.99, 80, 3, 29),  # of 30
        (0.5, 16, 1, 1),  # of 2
        (0.1, 16, 1, 1),
        (0.1, 8, 1, 0),  # of 1
        (0.9, 8, 1, 0),
    ],
)
@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_fractional_warmup_leaves_an_update_at_the_highest_rate(schedule, warmup, examples, epochs, updates):
    plan = plan_of([5] * examples, warmup=warmup, epochs=epochs, schedule=schedule)
    assert plan.warmup_updates == updates
    assert plan.rate(updates) == plan.learning_rate
    assert max(plan.rate(update) for update in range(plan.updates)) == plan.learning_rate


@pytest.mark.parametrize(
    ("warmup", "examples", "max_updates", "said"),
    [
        (0.9, 24, None, "rises to 0.001 over 2 updates, then falls to 0; 0.9 of 3 would be all of them: one stays"),
        (0.1, 8, None, "starts at 0.001, then falls to 0; no warm-up in a schedule of one update"),
        (0.5, 80, 3, "rises to 0.001 over 5 updates, then falls to 0; stopped before at 0.0005"),
        (4, 80, 2, "rises to 0.001 over 4 updates, then falls to 0; stopped before at 0.0004"),
        (0.5, 80, 6, "rises to 0.001 over 5 updates, then falls to 0"),
    ],
)
def test_plan_says_where_a_warmup_is_not_what_was_written(warmup, examples, max_updates, said):
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": {"train": "a.csv"}})
    plan = plan_of([9] * examples, warmup=warmup, epochs=1, max_updates=max_updates)
    assert ("rate", said) in plan.describe(recipe, 1)


@pytest.mark.parametrize(
    ("warmup", "said"),
    [
        (0, "starts at 0.001, then falls to 0"),
        (1, "rises to 0.001 over 1 update, then falls to 0"),
        (5, "rises to 0.001 over 5 updates, then falls to 0"),
    ],
)
def test_plan_says_how_the_rate_goes(warmup, said):
    recipe = Recipe.model_validate({"name": "a", "output": "o", "data": {"train": "a.csv"}})
    assert ("rate", said) in plan_of([9] * 100, warmup=warmup).describe(recipe, 1)
