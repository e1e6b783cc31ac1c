"""Tasks: how labels are read, what the loss is, how logits become predictions."""

import json

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_class_weight

from accel_cls.data.labels import Classes
from accel_cls.errors import UserError
from accel_cls.recipe.sections.data import Data
from accel_cls.recipe.sections.train import Train
from accel_cls.tasks import MultiLabel, Ordinal, Regression, SingleLabel, task_of_model

CPU = torch.device("cpu")
SINGLE, MULTI = SingleLabel(), MultiLabel()


def classes(*names):
    return Classes(names, names)


def weights(task, rule, labels, *names):
    """What each example counts, and the losses of zeros, which carry the weights."""
    train = Train.model_validate({"class_weights": rule})
    return task.loss(train, labels, classes(*names), CPU)


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ('["a", "b, c"]', ("a", "b, c")),
        ("['a', 'b, c']", ("a", "b, c")),  # what pandas' to_csv makes of a list
        ("[]", ()),
        ("['a' 'b, c']", ("a", "b, c")),  # what it makes of numpy's arrays; to Python it is one text, 'ab, c'
        ("[3 10\n 1]", ("3", "10", "1")),
        ("[0. 1.]", ("0", "1")),
        ("('a', 'b')", ("a", "b")),
        ("('a',)", ("a",)),
        ("{'b', 'a'}", ("a", "b")),
        ("()", ()),
        ("set()", ()),
        ("(0)", ("(0)",)),
        ("[red],[blue]", ("[red]", "[blue]")),
        ("(a)", ("(a)",)),
        ("[a, b", ("[a", "b")),
        ("[__import__('os').getcwd()]", ("[__import__('os').getcwd()]",)),
        ("a,b", ("a", "b")),
    ],
)
def test_classes_of_a_cell(cell, label):
    assert MULTI.parse(cell) == label


def test_ranges_of_numbers_are_names():
    assert MultiLabel(separator="|").parse("(18, 25)") == ("(18, 25)",)
    assert SINGLE.parse("(18, 25)") == "(18, 25)"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("[0 0 0 ... 0 1 0]", "the label '[0 0 0 ... 0 1 0]' is a list that was cut where it was written,"),
        ("[food, price]", "the label '[food, price]' looks like a list, and is none as JSON or Python writes it,"),
    ],
)
def test_lists_that_can_not_be_read_are_no_names(cell, reason):
    with pytest.raises(ValueError, match="the label") as caught:
        MULTI.parse(cell)
    assert str(caught.value) == reason


@pytest.mark.parametrize("cell", ['["a"]', "['a']", "[0 1 1]", "['a' 'b']", " ['a']"])
def test_a_list_is_no_single_label(cell):
    with pytest.raises(ValueError, match="the label is a list of classes, which needs task: multi_label,"):
        SINGLE.parse(cell)


# Single-label: class weights


def test_no_rule_weighs_all_alike():
    assert weights(SINGLE, None, np.array([0, 0, 1]), "a", "b").weights(np.array([0, 1, 1])).tolist() == [1, 1, 1]


def test_balanced_equals_scikit_learn():
    labels = np.random.default_rng(0).choice(4, size=500, p=[0.6, 0.25, 0.1, 0.05])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    found = weights(SINGLE, "balanced", labels, *"abcd").weights(np.arange(4))
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, rel=1e-6)


def test_balanced_gives_a_class_without_examples_no_weight():
    found = weights(SINGLE, "balanced", np.array([0, 0, 0, 2]), *"abc").weights(np.arange(3))
    assert found == pytest.approx([4 / 9, 0, 4 / 3])


def test_weights_by_name_come_in_the_order_of_the_ids():
    found = weights(SINGLE, {"b": 2.0, "a": 3.0}, np.array([0, 1]), "a", "b").weights(np.array([0, 1]))
    assert found.tolist() == [3.0, 2.0]


@pytest.mark.parametrize("task", [SINGLE, MULTI])
@pytest.mark.parametrize("rule", [{"a": 1.0}, {"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1.0, "B": 2.0}])
def test_weights_that_do_not_fit_the_classes_are_the_users_mistake(task, rule):
    with pytest.raises(UserError, match=r"train\.class_weights: found .*; expected one for each class: a, b"):
        weights(task, rule, np.array([0, 1]), "a", "b")


@pytest.mark.parametrize(("rule", "smoothing"), [(None, 0.0), (None, 0.3), ({"a": 1.0, "b": 4.0, "c": 0.5}, 0.0)])
def test_loss_weighs_or_smooths_as_torchs_own_does(rule, smoothing):
    logits = torch.tensor(np.random.default_rng(0).normal(size=(12, 3)), dtype=torch.float32)
    labels = torch.arange(12) % 3
    train = Train.model_validate({"class_weights": rule, "label_smoothing": smoothing})
    loss = SINGLE.loss(train, labels.numpy(), classes(*"abc"), CPU)
    own = None if rule is None else torch.tensor(list(rule.values()))
    expected = torch.nn.CrossEntropyLoss(weight=own, label_smoothing=smoothing)(logits, labels)
    mean = loss.losses(logits, labels).sum() / loss.weights(labels.numpy()).sum()
    assert mean.item() == pytest.approx(expected.item(), rel=1e-6)


# Single-label: logits


def test_predicted_is_the_class_of_the_highest_logit():
    assert SINGLE.decode(np.array([[1, 2, 0], [3, -1, 2]], np.float32)).predicted.tolist() == [1, 0]


def test_probabilities_are_a_softmax():
    probabilities = SINGLE.decode(np.array([[0.0, np.log(3.0)], [5.0, 5.0]], np.float32)).probabilities
    assert probabilities.dtype == np.float64
    assert probabilities == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))


def test_probabilities_of_huge_logits():
    probabilities = SINGLE.decode(np.array([[3e38, -3e38], [1000, 999]], np.float32)).probabilities
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(1) == pytest.approx([1, 1])


def test_loss_is_the_mean_cross_entropy_as_scikit_learn_and_torch_have_it():
    logits = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32) * 20
    labels = np.arange(40) % 3
    found = SINGLE.row_losses(logits, labels).mean()
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits).double(), torch.tensor(labels)).item()
    assert found == pytest.approx(expected, rel=1e-12)
    probabilities = SINGLE.decode(logits).probabilities
    assert probabilities == pytest.approx(torch.tensor(logits).double().softmax(1).numpy(), abs=1e-12)
    assert SINGLE.row_losses(logits / 20, labels).mean() == pytest.approx(
        sk.log_loss(labels, SINGLE.decode(logits / 20).probabilities, labels=np.arange(3))
    )


def test_loss_of_a_sure_mistake_is_finite():
    loss = SINGLE.row_losses(np.array([[10_000, 0]], np.float32), np.array([1])).mean()
    assert np.isfinite(loss)
    assert loss > 100


@pytest.mark.parametrize(("task", "labels"), [(SINGLE, np.array([0, 0])), (MULTI, np.zeros((2, 2), np.float32))])
def test_loss_of_not_a_number_is_not_a_number(task, labels):
    assert np.isnan(task.row_losses(np.array([[np.nan, 0], [1, 0]], np.float32), labels).mean())


# Multi-label: cells


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("food,service", ("food", "service")),
        (" food , service ,food,", ("food", "service")),
        ("", ()),
        ('["food", "a, b"]', ("food", "a, b")),
        ("[]", ()),
        ("[x", ("[x",)),
        (["food", "service"], ("food", "service")),
        ([1, 0], ("1", "0")),
        (3, ("3",)),
        (None, None),
        (float("nan"), None),
    ],
)
def test_cell_of_several_classes(cell, expected):
    assert MULTI.parse(cell) == expected


def test_separator_is_the_recipes():
    assert MultiLabel(separator="; ").parse("a, b; c") == ("a, b", "c")


def test_column_for_each_class():
    task = MultiLabel(columns=("food", "service", "price"))
    assert task.parse(("1", "0", "")) == ("food",)
    assert task.parse((True, 1.0, "false")) == ("food", "service")
    assert task.parse((1, None, 0)) is None
    with pytest.raises(ValueError, match="the column 'service' holds 'x', expected 0 or 1"):
        task.parse(("1", "x", "0"))
    assert task.find_classes([], Data.model_validate({"train": "a.csv"}), None).names == ("food", "service", "price")


@pytest.mark.parametrize("cell", ['["a", "b"]', ["a", "b"], "[]"])
def test_several_classes_are_no_label_of_a_single_label_task(cell):
    with pytest.raises(ValueError, match="is a list of classes, which needs task: multi_label"):
        SINGLE.parse(cell)
    assert SINGLE.parse("[a]") == "[a]", "no JSON list"


def test_labels_are_encoded_and_shown_again():
    known = {"a": 0, "b": 1, "c": 2}
    encoded = MULTI.encode([("c", "a"), (), ("b",)], known)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert MULTI.class_counts(encoded, 3).tolist() == [1, 1, 1]
    texts = [MULTI.text_of(label, "abc") for label in encoded]
    assert [json.loads(text) for text in texts] == [["a", "c"], [], ["b"]]
    assert MULTI.parse_texts(texts, "abc").tolist() == encoded.tolist()
    assert MULTI.unknown(("a", "x"), known) == "x"
    assert MULTI.unknown((), known) is None


def test_strata_are_the_rarest_class_of_each_text():
    encoded = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]], np.float32)
    assert MULTI.strata(encoded).tolist() == [0, 1, 2, 3, 0]


# Multi-label: loss and logits


def test_loss_of_several_labels_is_transformers():
    logits = torch.tensor(np.random.default_rng(0).normal(size=(6, 3)), dtype=torch.float32)
    labels = (torch.tensor(np.random.default_rng(1).random((6, 3))) > 0.5).float()
    loss = weights(MULTI, None, labels.numpy(), *"abc")
    expected = torch.nn.BCEWithLogitsLoss()(logits, labels)
    assert (loss.losses(logits, labels).sum() / loss.weights(labels.numpy()).sum()).item() == pytest.approx(
        expected.item(), rel=1e-6
    )
    assert MULTI.row_losses(logits.numpy(), labels.numpy()).mean() == pytest.approx(expected.item(), rel=1e-6)


def test_weights_of_several_labels_are_those_of_the_examples_that_have_the_class():
    labels = np.array([[1, 0], [0, 0], [0, 0], [1, 1]], np.float32)
    loss = weights(MULTI, "balanced", labels, "a", "b")
    losses = loss.losses(torch.zeros(4, 2), torch.tensor(labels))
    log2 = np.log(2)
    assert losses.tolist() == pytest.approx([log2, log2, log2, (1 + 3) / 2 * log2])
    assert loss.weights(labels).tolist() == [1, 1, 1, 1]


def test_class_that_all_or_none_have_is_not_balanced():
    labels = np.array([[1, 0], [1, 0]], np.float32)
    losses = weights(MULTI, "balanced", labels, "a", "b").losses(torch.zeros(2, 2), torch.tensor(labels))
    assert losses.tolist() == pytest.approx([np.log(2)] * 2)


def test_smoothing_of_several_labels_moves_them_towards_one_half():
    train = Train.model_validate({"label_smoothing": 0.2})
    loss = MULTI.loss(train, np.zeros((1, 2), np.float32), classes("a", "b"), CPU)
    logits, labels = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([[0.9, 0.1]]))
    assert loss.losses(logits, labels).item() == pytest.approx(expected.item())


@pytest.mark.filterwarnings("error")
def test_logits_of_several_labels_become_independent_probabilities():
    decoded = MULTI.decode(np.array([[0.0, np.log(3.0), -1e4], [1e4, -0.1, -0.1]], np.float32))
    assert decoded.probabilities == pytest.approx(np.array([[0.5, 0.75, 0], [1, 0.475, 0.475]]), abs=1e-3)
    assert decoded.predicted.tolist() == [[1, 1, 0], [1, 0, 0]]


def test_report_says_what_is_undefined():
    table, confusion = SINGLE.report_tables(np.array([0, 0, 1]), np.array([0, 1, 1]), ["a", "b", "c"])
    assert table.rows == [
        ["a", "2", "1.0000", "0.5000", "0.6667"],
        ["b", "1", "0.5000", "1.0000", "0.6667"],
        ["c", "0", "–", "–", "–"],
    ]
    assert table.text.startswith("–: undefined")
    assert confusion.rows == [["a", "1", "1", "0"], ["b", "0", "1", "0"], ["c", "0", "0", "0"]]
    (table,) = MULTI.report_tables(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]), ["a", "b"])
    assert table.rows == [["a", "2", "1.0000", "0.5000", "0.6667"], ["b", "1", "1.0000", "1.0000", "1.0000"]]
    assert table.text == ""


def test_saved_model_names_its_task():
    assert task_of_model("single_label_classification", 2).name == task_of_model(None, 2).name == "single_label"
    assert task_of_model("multi_label_classification", 1).name == "multi_label"
    assert task_of_model("regression", 2) is None
    assert task_of_model(None, 1) is None


# Labels with distances


def test_ordinal_loss_counts_how_far_the_truth_is_beyond_each_class():
    """Of three classes with probabilities 0.2, 0.3 and 0.5: beyond the first with 0.8, beyond the second with 0.5."""
    logits = np.log([[0.2, 0.3, 0.5]]).astype(np.float32)
    expected = {0: -(np.log(0.2) + np.log(0.5)) / 2, 1: -(np.log(0.8) + np.log(0.5)) / 2}
    expected[2] = -(np.log(0.8) + np.log(0.5)) / 2
    names = ("1", "2", "3")
    loss = Ordinal().loss(Train(), np.array([0, 1, 2]), Classes(names, names), torch.device("cpu"))
    for label, value in expected.items():
        assert Ordinal().row_losses(logits, np.array([label])).mean() == pytest.approx(value, rel=1e-6)
        assert loss.losses(torch.from_numpy(logits), torch.tensor([label])).item() == pytest.approx(value, rel=1e-6)


def test_ordinal_loss_of_two_classes_is_cross_entropy_with_weights_and_smoothing():
    names = ("no", "yes")
    section = Train(class_weights={"no": 1.0, "yes": 3.0}, label_smoothing=0.1)
    logits, labels = torch.tensor([[0.3, -1.0], [2.0, 0.5]]), torch.tensor([1, 0])
    ordinal, single = (
        task.loss(section.model_copy(update={"class_weights": None}), labels.numpy(), Classes(names, names), "cpu")
        for task in (Ordinal(), SingleLabel())
    )
    assert ordinal.losses(logits, labels).tolist() == pytest.approx(single.losses(logits, labels).tolist(), rel=1e-6)
    weighted = Ordinal().loss(section, labels.numpy(), Classes(names, names), torch.device("cpu"))
    assert weighted.losses(logits, labels).tolist() == pytest.approx(
        [3 * ordinal.losses(logits, labels)[0].item(), ordinal.losses(logits, labels)[1].item()], rel=1e-6
    )
    assert weighted.weights(labels.numpy()).tolist() == [3, 1]


def test_ordinal_loss_is_finite_where_logits_are_far_apart():
    logits = np.array([[90.0, 0.0, -90.0]], np.float32)
    assert Ordinal().row_losses(logits, np.array([2])).mean() == pytest.approx((90 + 180) / 2, rel=1e-6)
    tensor = torch.from_numpy(logits).requires_grad_()
    names = ("1", "2", "3")
    loss = Ordinal().loss(Train(), np.array([0, 1, 2]), Classes(names, names), torch.device("cpu"))
    loss.losses(tensor, torch.tensor([2])).sum().backward()
    assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize(
    ("cell", "number"), [("4.5", 4.5), (" -1e3 ", -1000.0), (3, 3.0), (".5", 0.5), ("", None), (None, None)]
)
def test_numbers_are_read(cell, number):
    assert Regression().parse(cell) == number


@pytest.mark.parametrize("cell", ["nan", "1,5", "1_0", True, "1e99", 10**400, "five", [1.0]])
def test_what_is_no_number_is_told(cell):
    with pytest.raises(ValueError, match="is no number, as task: regression needs it"):
        Regression().parse(cell)


def test_few_numbers_are_split_as_well_as_many():
    task, draw = Regression(), np.random.default_rng(0)
    assert len(np.unique(task.strata(draw.normal(size=20).astype(np.float32)))) == 1
    counts = np.bincount(task.strata(draw.normal(size=1000).astype(np.float32)))
    assert len(counts) == 10
    assert counts.min() == counts.max()
