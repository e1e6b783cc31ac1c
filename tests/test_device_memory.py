"""How much of a GPU's memory a training took: what its run says of it."""

from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT

from accel_cls.memory.available import peak_device_memory, reset_peak_device_memory
from accel_cls.recipe import load_recipe
from accel_cls.reporting import markdown
from accel_cls.reporting.markdown import describe_memory
from accel_cls.training import fit


def test_a_cpu_tells_of_no_device_memory() -> None:
    reset_peak_device_memory(torch.device("cpu"))
    assert peak_device_memory(torch.device("cpu")) is None
    assert fit._device_peak_bytes(SimpleNamespace(device=torch.device("cpu"))) is None


def test_of_all_processes_the_largest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of three, which has most itself or sees that another has more."""
    monkeypatch.setattr(fit, "peak_device_memory", lambda device: 5 * 2**32)
    others = torch.tensor([2**33, 0, 2**35])
    accelerator = SimpleNamespace(
        device=torch.device("cpu"), num_processes=3, process_index=1, reduce=lambda mine, how: mine + others
    )
    assert fit._device_peak_bytes(accelerator) == 2**35
    others[2] = 0
    assert fit._device_peak_bytes(accelerator) == 5 * 2**32


def test_a_run_tells_of_a_gpus_memory_where_it_knows() -> None:
    assert describe_memory({"device_peak_bytes": 2_130_000_000}) == "2.1 GB of the device's at most"
    assert describe_memory({"device_peak_bytes": None}) is None
    assert describe_memory({}) is None  # a run of an older version


def test_the_report_says_it_where_it_is_known() -> None:
    simple = {"name": "majority", "about": "", "accuracy": 0.5, "scores": {"accuracy": 0.5}, "p": 1.0}
    simple |= {"difference": 0.0, "interval": [0.0, 0.0]}
    results = {
        "scores": {"accuracy": 0.5}, "decided_by": "accuracy", "update": 2, "epoch": 1.0, "updates": 2, "skipped": 0,
        "scaler_skips": 0, "checkpoints": 1, "save_seconds": 0.1, "stall_seconds": 0.0, "seconds": 3.0,
        "hardware": "1 process on cuda", "rows": {"validation": 5, "dropped": []}, "evaluations": [],
        "baselines": [simple], "slices": {}, "behaviour": None, "verdict": "", "advice": [], "test": None,
    }  # fmt: skip
    recipe = load_recipe(ROOT / "recipes" / "food.yaml")
    told = markdown.report(recipe, {**results, "device_peak_bytes": 2_130_000_000}, [], [])
    assert "\nMemory: 2.1 GB of the device's at most.\n" in told
    assert "Memory" not in markdown.report(recipe, {**results, "device_peak_bytes": None}, [], [])
