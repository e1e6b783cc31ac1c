"""`train.trackers`: what they are told, once for each update whatever befalls the run, and what is missing."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import cli, train, train_by, write_recipe, write_reviews
from run_results import interrupt, metrics
from tensorboardX.proto.event_pb2 import Event

from accel_cls.errors import UserError
from accel_cls.recipe import RecipeError, load_recipe, load_to_train
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.tracking import Tracking

Told = dict[str, list[tuple[int, float]]]  # by name, the update and the number


def events(path: Path) -> Iterator[Event]:
    """The events of a file: each is preceded by its length and a checksum, and followed by one."""
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield Event.FromString(content[at + 12 : at + 12 + length])
        at += 16 + length


def told(run: Path) -> Told:
    """What TensorBoard shows of a run."""
    [path] = (run / "trackers" / "tiny").glob("events.*")
    found: Told = {}
    for event in events(path):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def logged(run: Path) -> Told:
    """What metrics.jsonl has."""
    found: Told = {}
    for record in metrics(run):
        part = "eval" if "evaluation" in record else "train"
        for name, value in (record.get("evaluation") or record).items():
            if name != "update":
                found.setdefault(f"{part}/{name}", []).append((record["update"], pytest.approx(value, rel=1e-6)))
    return found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write_reviews(tmp_path / "reviews.csv", 240)
    write_recipe(tmp_path, evaluate="{behaviour: 0}")
    return tmp_path


TENSORBOARD = "train.trackers=[tensorboard]"


def test_they_are_told_what_is_logged(work: Path) -> None:
    done = train_by(2, work, TENSORBOARD, "train.log_every=4")
    assert done.returncode == 0, done.stderr
    found = told(work / "run")
    assert found == logged(work / "run")
    assert [update for update, _ in found["train/loss"]] == [4, 8, 12]
    assert [update for update, _ in found["eval/accuracy"]] == [6, 12]
    assert {"train/learning_rate", "train/grad_norm", "train/examples_per_second", "eval/f1"} <= {*found}
    [settings] = (work / "run" / "trackers" / "tiny").glob("*/hparams.yml")
    assert "train.batch_size: 32" in settings.read_text(encoding="utf-8")


def test_each_update_is_told_once_where_a_run_goes_on(work: Path) -> None:
    """Also where what came after its checkpoint had been told already."""
    assert train(work, TENSORBOARD).returncode == 0
    interrupt(work / "run", 6)
    done = train(work, TENSORBOARD)
    assert done.returncode == 0, done.stderr
    assert "continues an unfinished run from update 6" in " ".join(done.stdout.split())
    found = told(work / "run")
    assert found == logged(work / "run")
    assert [update for update, _ in found["train/loss"]] == [*range(1, 13)]


def test_a_run_can_be_given_trackers_when_it_goes_on(work: Path) -> None:
    assert train(work).returncode == 0
    assert not (work / "run" / "trackers").exists()
    interrupt(work / "run", 6)
    assert train(work, TENSORBOARD).returncode == 0
    assert [update for update, _ in told(work / "run")["train/loss"]] == [*range(1, 13)]


def test_what_is_not_installed_is_an_error_with_its_command(
    work: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setattr("accel_cls.recipe.trackers.find_spec", lambda name: None if name == "mlflow" else name)
    write_recipe(work, train="{trackers: [tensorboard, mlflow]}")
    with pytest.raises(RecipeError) as caught:
        load_to_train("recipe.yaml")
    said = " ".join(str(caught.value).split())
    assert "recipe.yaml:5:" in said
    assert "train.trackers: mlflow is not installed here: pip install mlflow, or leave it out" in said
    load_recipe("recipe.yaml")  # what only reads a run's recipe needs no tracker
    status, out, wrong = cli(capsys, "check", "recipe.yaml")
    assert status == 2
    assert "pip install mlflow" in " ".join((out + wrong).split())


def test_the_name_of_transformers_leads_there(work: Path) -> None:
    done = train(work, "train.report_to=tensorboard")
    assert done.returncode == 2
    assert "train.trackers" in done.stderr


class Recorded:
    """Stands for an Accelerator: what its trackers are started with, and told."""

    is_main_process = True

    def __init__(self, fails: bool = False):
        self.project_configuration = SimpleNamespace(logging_dir=None)
        self.trackers: list[SimpleNamespace] = []
        self.told: list[tuple[dict, int]] = []
        self.fails = fails

    def init_trackers(self, name: str, settings: dict, options: dict) -> None:
        if self.fails:
            raise RuntimeError("no such store")
        self.started = name, settings, options
        self.trackers.append(SimpleNamespace(finish=lambda: None))

    def log(self, values: dict, step: int) -> None:
        self.told.append((values, step))


def tracking(folder: Path, accelerator: Recorded, names: str = "[wandb, mlflow]") -> Tracking:
    write_recipe(folder, train=f"{{trackers: {names}}}")
    run = RunFolder(folder / "run")
    run.path.mkdir(exist_ok=True)
    return Tracking(accelerator, run, load_recipe(folder / "recipe.yaml"))  # type: ignore[arg-type]


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_ERROR_REPORTING", "MLFLOW_TRACKING_URI", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)


def test_nobody_reaches_for_the_network_unasked(tmp_path: Path, unset: None, monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator = Recorded()
    found = tracking(tmp_path, accelerator)
    _, settings, options = accelerator.started
    trackers = tmp_path / "run" / "trackers"
    assert options["wandb"] == {"dir": str(trackers), "name": "run", "mode": "offline"}
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{trackers / 'mlflow.db'}"
    assert (os.environ["MLFLOW_DISABLE_TELEMETRY"], os.environ["WANDB_ERROR_REPORTING"]) == ("true", "false")
    assert settings["train.trackers"] == '["wandb", "mlflow"]'
    found.finish()
    assert "MLFLOW_TRACKING_URI" not in os.environ  # another training of the same process has a store of its own
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example")
    tracking(tmp_path, accelerator)
    assert accelerator.started[2]["wandb"]["mode"] == "online"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://tracking.example"


def test_what_is_no_number_is_not_told(tmp_path: Path, unset: None) -> None:
    accelerator = Recorded()
    found = tracking(tmp_path, accelerator)
    found.log({"update": 1, "epoch": 0.5, "loss": float("nan"), "grad_norm": None})
    found.log({"update": 2, "epoch": 1.0, "skipped": {"rows": [], "loss": 0.5}})
    found.log({"update": 3, "epoch": 1.5, "evaluation": {"accuracy": 0.5, "f1": None}, "best": True})
    assert accelerator.told == [({"train/epoch": 0.5}, 1), ({"eval/accuracy": 0.5}, 3)]
    found.finish()
    found.log({"update": 4, "epoch": 2.0, "loss": 0.5})
    assert len(accelerator.told) == 2


def test_one_that_can_not_start_is_an_error_for_the_user(tmp_path: Path, unset: None) -> None:
    with pytest.raises(UserError, match=r"train\.trackers: one of wandb, mlflow can't start: no such store"):
        tracking(tmp_path, Recorded(fails=True))


def test_where_the_recipe_names_none_nothing_is_started(work: Path) -> None:
    accelerator = Recorded()
    tracking(work, accelerator, "[]").log({"update": 1, "loss": 0.5})
    assert not accelerator.trackers
    assert not accelerator.told
    assert not (work / "run" / "trackers").exists()
    assert not {"wandb", "mlflow"} & {*sys.modules}
