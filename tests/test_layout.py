"""How examples are laid out in micro-batches: widths, padded cuts, rows of packed texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_cls.batching.layout import PASS_TOKENS, ROW_STEP, WIDTH_STEP, XLA_WIDTHS, Layout, padded_width, width_step

thorough = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@st.composite
def cuts(draw):
    """(lengths, tokens, longest) of any examples, with the longest within the limits."""
    longest = draw(st.integers(8, 130))
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=60))
    tokens = draw(st.integers(longest, 12 * longest))
    return np.array(lengths, np.int32), tokens, longest


def cut(examples, lengths, tokens, longest, packed=False, at_least=1):
    return Layout(tokens, longest, packed=packed).to_micro_batches(examples, lengths, at_least)


def cost(micro_batches):
    return sum(part.tokens + PASS_TOKENS for part in micro_batches)


# The very cut

LENGTHS = np.array([64, 3, 17, 9, 40, 33, 16, 5, 31, 60, 12, 48], np.int32)


@pytest.mark.parametrize(
    ("packed", "at_least", "expected"),
    [
        (False, 1, [((0, 9), 64), ((11,), 48), ((4, 5), 48), ((8, 2), 32), ((6, 10, 3, 7, 1), 16)]),
        # The one with the most examples is cut into halves.
        (False, 6, [((0, 9), 64), ((11,), 48), ((4, 5), 48), ((8, 2), 32), ((6, 10), 16), ((3, 7, 1), 16)]),
        (True, 1, [((0, 9), 128), ((11, 4, 5), 128), ((8, 2, 6, 10, 3, 7, 1), 96)]),
        (True, 5, [((0,), 96), ((9,), 64), ((11, 4), 96), ((5, 8), 96), ((2, 6, 10, 3, 7, 1), 64)]),
    ],
)
def test_cut_of_these_lengths_never_changes(packed, at_least, expected):
    """Dropout draws by micro-batch: another cut would be another training, also of a run that goes on."""
    parts = cut(np.arange(len(LENGTHS)), LENGTHS, 128, 64, packed, at_least)
    assert [(part.examples, part.width) for part in parts] == expected


def test_examples_of_equal_length_stand_by_position():
    parts = cut(np.array([4, 2, 0, 3, 1]), np.full(5, 16), 48, 64)
    assert [part.examples for part in parts] == [(0, 1), (2, 3, 4)]


# In a row each, padded


@thorough
@given(cuts())
def test_width_is_a_multiple_of_the_step_or_the_longest(case):
    lengths, tokens, longest = case
    for part in cut(np.arange(len(lengths)), lengths, tokens, longest):
        assert part.width % WIDTH_STEP == 0 or part.width == longest
        assert part.width == padded_width(int(max(lengths[list(part.examples)])), longest)


@thorough
@given(cuts(), st.booleans(), st.integers(1, 5))
def test_longest_texts_come_first(case, packed, at_least):
    lengths, tokens, longest = case
    parts = cut(np.arange(len(lengths)), lengths, tokens, longest, packed, at_least)
    sizes = [int(lengths[example]) for part in parts for example in part.examples]
    assert sizes == sorted(sizes, reverse=True)


@thorough
@given(cuts(), st.booleans(), st.randoms(use_true_random=False))
def test_cut_does_not_depend_on_the_order_of_the_examples(case, packed, random):
    lengths, tokens, longest = case
    shuffled = list(range(len(lengths)))
    random.shuffle(shuffled)
    ordered = cut(np.arange(len(lengths)), lengths, tokens, longest, packed)
    assert cut(np.array(shuffled), lengths, tokens, longest, packed) == ordered


@thorough
@given(cuts())
def test_cut_is_never_worse_than_one_width_for_all(case):
    lengths, tokens, longest = case
    width = padded_width(int(lengths.max()), longest)
    passes = -(-len(lengths) // (tokens // width))
    parts = cut(np.arange(len(lengths)), lengths, tokens, longest)
    assert cost(parts) <= len(lengths) * width + passes * PASS_TOKENS


@thorough
@given(cuts())
def test_cut_is_never_worse_than_filling_one_micro_batch_after_the_other(case):
    lengths, tokens, longest = case
    left = sorted(lengths.tolist(), reverse=True)
    greedy = 0
    while left:
        width = padded_width(left[0], longest)
        taken = min(tokens // width, len(left))
        greedy += taken * width + PASS_TOKENS
        left = left[taken:]
    assert cost(cut(np.arange(len(lengths)), lengths, tokens, longest)) <= greedy


def test_short_texts_are_not_padded_to_the_longest():
    lengths = np.array([64] * 8 + [16] * 64)
    parts = cut(np.arange(72), lengths, 1024, 64)
    assert [(len(part.examples), part.width) for part in parts] == [(8, 64), (64, 16)]


def test_few_short_texts_ride_along_instead_of_costing_a_pass():
    lengths = np.array([32] * 8 + [16] * 2)
    parts = cut(np.arange(10), lengths, 1024, 64)
    assert [(len(part.examples), part.width) for part in parts] == [(10, 32)]


@pytest.mark.parametrize(("length", "longest", "width"), [(1, 64, 16), (16, 64, 16), (17, 64, 32), (60, 62, 62)])
def test_padded_width(length, longest, width):
    assert padded_width(length, longest) == width


# In one row, packed


@thorough
@given(cuts(), st.integers(1, 9))
def test_rows_are_as_many_as_the_texts_need_or_are_asked_for(case, at_least):
    lengths, tokens, longest = case
    parts = cut(np.arange(len(lengths)), lengths, tokens, longest, True, at_least)
    needed = -(-int(lengths.sum()) // tokens)
    assert len(parts) >= min(len(lengths), max(at_least, needed))
    if needed == 1:
        assert len(parts) == min(len(lengths), at_least)
    for part in parts:
        assert part.width % ROW_STEP == 0
        assert part.width > lengths[list(part.examples)].sum()  # a filler at least
        assert part.tokens == part.width


@thorough
@given(cuts(), st.integers(2, 5))
def test_rows_are_about_equally_long(case, pieces):
    lengths, _, longest = case
    parts = cut(np.arange(len(lengths)), lengths, int(lengths.sum()) + longest, longest, True, pieces)
    sizes = [int(lengths[list(part.examples)].sum()) for part in parts]
    # A row ends where it is nearest to its share of what is left, at most half a text off; 30,000 drawn cases come to
    # 0.68 of the longest text, where halves add up.
    assert max(sizes) <= lengths.sum() / len(parts) + 0.75 * lengths.max()


def test_text_goes_to_the_row_where_it_fits_better():
    lengths = np.array([40, 30, 20, 10])
    parts = cut(np.arange(4), lengths, 128, 64, True, 2)
    assert [part.examples for part in parts] == [(0,), (1, 2, 3)]
    assert [part.width for part in parts] == [64, 64]


def test_packed_examples_need_the_memory_of_few_wide_rows():
    lengths = np.array([40, 30, 20, 10, 50, 60])
    layout = Layout(512, 64, packed=True)
    (part,) = layout.to_micro_batches(np.arange(6), lengths)
    assert part.width == 224
    assert layout.padded_shape(part, lengths) == (4, 64)


# Shapes on XLA


@pytest.mark.parametrize(
    ("longest", "step"), [(16, 16), (100, 16), (128, 16), (129, 32), (256, 32), (512, 64), (8192, 1024)]
)
def test_widths_on_xla_are_few(longest, step):
    assert width_step(longest, few_shapes=True) == step
    assert width_step(longest, few_shapes=False) == WIDTH_STEP
    assert len({padded_width(length, longest, step) for length in range(1, longest + 1)}) <= XLA_WIDTHS


def test_cut_that_is_fine_enough_for_some_processes_is_the_one_that_one_process_makes() -> None:
    """Two rows would hold the tokens, but not the texts: one process makes three, and so do three."""
    lengths = np.array([1, 1, 1, 22, *[23] * 7], np.int32)
    layout = Layout(tokens=93, longest=23, packed=True)
    alone = layout.to_micro_batches(np.arange(11), lengths)
    assert len(alone) == 3
    assert layout.to_micro_batches(np.arange(11), lengths, 3) == alone
    assert len(layout.to_micro_batches(np.arange(11), lengths, 4)) == 4
