"""The same bits each time on a CUDA device, as far as it shows without one: what torch is told, and what users are."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from packed_texts import FAMILY_CASES, batches_of_texts, small_model
from torch.utils._python_dispatch import TorchDispatchMode

from accel_cls.batching.layout import Layout
from accel_cls.devices.deterministic import describe_repeatable, deterministic_algorithms, is_repeatable
from accel_cls.errors import UserError
from accel_cls.models.packing import make_packable

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(autouse=True)
def workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def test_torch_is_told_in_the_block_and_only_there() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic_algorithms(CUDA, wanted=True):
        # With warn_only, attention's backward pass on a GPU would keep the algorithm that adds in any order.
        assert torch.get_deterministic_debug_mode() == 2
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize(("device", "wanted"), [(CPU, True), (CPU, False), (CUDA, False)])
def test_elsewhere_torch_is_left_alone(device: torch.device, wanted: bool) -> None:
    with deterministic_algorithms(device, wanted):
        assert not torch.are_deterministic_algorithms_enabled()


def test_operation_without_such_an_algorithm_is_named_and_the_way_out() -> None:
    with pytest.raises(UserError) as caught, deterministic_algorithms(CUDA, wanted=True):
        torch.zeros(3).put_(torch.tensor([1, 1]), torch.ones(2))
    assert "has no deterministic algorithm for put_, which this model needs" in str(caught.value)
    assert "Set train.deterministic=false" in str(caught.value)
    assert not torch.are_deterministic_algorithms_enabled()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size"), deterministic_algorithms(CUDA, wanted=True):
        torch.zeros(2) + torch.zeros(3)


@pytest.mark.parametrize("value", [None, ":0:0"])
def test_workspace_with_which_sums_have_any_order_is_refused(value: str | None, monkeypatch) -> None:
    if value is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    else:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", value)
    with pytest.raises(UserError, match=f"CUBLAS_WORKSPACE_CONFIG is {value!r}; expected :4096:8 or :16:8"):
        deterministic_algorithms(CUDA, wanted=True).__enter__()
    with deterministic_algorithms(CUDA, wanted=False):  # and nobody asks where it is not wanted
        pass


@pytest.mark.parametrize(("before", "after"), [(None, ":4096:8"), (":16:8", ":16:8")])
def test_commands_set_the_workspace_unless_the_user_has(before: str | None, after: str, monkeypatch) -> None:
    if before is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    else:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", before)
    code = (
        "import os, sys\nfrom accel_cls.startup import heavy_imports\n"
        "with heavy_imports(False): print(os.environ['CUBLAS_WORKSPACE_CONFIG'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [after, "False"]


@pytest.mark.parametrize(
    ("device", "deterministic", "is_so", "said"),
    [
        ("cpu", True, True, None),
        ("cpu", False, True, "to the last bit, on a CPU also with train.deterministic: false"),
        ("cuda", True, True, "to the last bit"),
        ("cuda", False, False, "up to rounding: train.deterministic is false"),
        ("mps", True, False, "on mps torch promises no more"),
        ("xla", True, False, "on xla torch promises no more"),
    ],
)
def test_what_is_promised(device: str, deterministic: bool, is_so: bool, said: str | None) -> None:
    assert is_repeatable(device, deterministic) == is_so
    found = describe_repeatable(device, deterministic)
    assert found is None if said is None else found is not None and said in found


# What adds by index does so in any order on a GPU, atomically, unless torch is told otherwise.
OF_ANY_ORDER = {"index_add", "scatter_add", "scatter_reduce", "index_put", "put", "index_reduce"}


class Operations(TorchDispatchMode):
    """Notes every operation, those of a backward pass included."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.names.add(function.name().removeprefix("aten::").split(".")[0].removesuffix("_"))
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize(("family", "more"), FAMILY_CASES, ids=lambda case: str(case))
def test_packing_adds_nothing_up_in_any_order(family: str, more: dict[str, object]) -> None:
    model = small_model(family, more, dropout=0.1).train()
    batches = batches_of_texts(make_packable(model))
    (part, *_) = Layout(160, 160, packed=True).to_micro_batches(np.arange(9), batches.encoded.lengths)
    with Operations() as seen:
        model(**batches.make(part).inputs).logits.sum().backward()
    assert "embedding_dense_backward" in seen.names, "the backward pass was seen"
    assert not seen.names & OF_ANY_ORDER
