"""A tiny labelled data set, recipes over it, and the real command line to run them with."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import surroundings  # before what imports torch

from accel_cls.parity.comparison_runs import threads_per_process
from accel_cls.profiles import read_profile
from tools import warm
from tools.warm import free_port as free_port

# A shell script ignores Ctrl-C for what it starts in the background, nohup a lost terminal; and all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
_THREADS = "OMP_NUM_THREADS"  # which a warm interpreter can have had from its beginning
# Variables that are read when they are wanted, not by an import.
_READ_LATE = ("ACCEL_CLS_", "ACCELERATE_", "XDG_CACHE_HOME")
_BIN = Path(sys.executable).parent

GOOD = ["好吃", "很快", "味道不错", "分量足", "骑手热情", "包装好", "还会再点", "很新鲜"]
BAD = ["难吃", "太慢", "味道很差", "分量少", "骑手态度差", "洒了", "再也不点", "不新鲜"]


def write_reviews(path: Path, count: int = 240, seed: int = 0) -> Path:
    """A csv of reviews of 1 to 12 phrases, every third good; a text's phrases decide its label."""
    draw = random.Random(seed)
    lines = ["label,review"]
    for i in range(count):
        label = int(i % 3 == 0)
        phrases = [draw.choice(GOOD if label else BAD) for _ in range(draw.choice([1, 2, 2, 3, 4, 12]))]
        lines.append(f'{label},"{"，".join(phrases)}{i}"')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_recipe(folder: Path, **sections: str) -> Path:
    """A recipe over `reviews.csv` beside it: a minute model, 12 updates in 2 epochs, asked about no changed texts."""
    text = {
        "data": "{train: reviews.csv, text: review, label: label, labels: {0: BAD, 1: GOOD}, max_length: 32}",
        "model": "{scratch: {layers: 1, hidden: 32, heads: 2, vocabulary: 200}}",
        "train": "{epochs: 2, batch_size: 32, micro_batch_tokens: 256, learning_rate: 1e-2, log_every: 1}",
        "evaluate": "{behaviour: 0}",  # a fifth of such a run
    } | sections
    path = folder / "recipe.yaml"
    body = "".join(f"{key}: {value}\n" for key, value in text.items())
    path.write_text(f"name: tiny\noutput: run\n{body}", encoding="utf-8")
    return path


def fsdp_on_cpu(folder: Path) -> None:
    """Write the shipped FSDP profile as it has to be where there is no GPU."""
    text = (ROOT / "accelerate_configs" / "fsdp.yaml").read_text(encoding="utf-8")
    text = text.replace("use_cpu: false", "use_cpu: true").replace("gpu_ids: all\n", "").replace("bf16", '"no"')
    (folder / "fsdp_cpu.yaml").write_text(text, encoding="utf-8")


BASE = "name: a\noutput: runs/a\ndata: {train: a.csv}\n"  # a right recipe of three lines; what a test adds is line 4


def write_file(text: str | bytes, name: str = "r.yaml") -> Path:
    """Write a file, with its folders, in the current folder."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


Run = Callable[..., subprocess.CompletedProcess]


def command(*arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: str | None = None):
    """Run a command of the environment under test; its output is on the result, for the failing test to show."""
    program, *rest = arguments
    if all(name == _THREADS or name.startswith(_READ_LATE) for name in env or ()):
        if program == "python" and rest[0] == "-m" and rest[1].startswith("accel_cls."):
            return warm.run(rest[1], rest[2:], cwd, stdin, env)
        if program == "accel-cls" and rest[0] != "launch":  # a training looks at the commands of its parents
            return warm.run("accel_cls.__main__", rest, cwd, stdin, env)
    return subprocess.run(
        [str(_BIN / program), *rest],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def train(folder: Path, *overrides: str, launcher: Sequence[str] = ("python",), env: dict[str, str] | None = None):
    """Train `folder/recipe.yaml` from inside that folder, by default as one plain process."""
    return command(*launcher, "-m", "accel_cls.train", "recipe.yaml", *overrides, cwd=folder, env=env)


def train_by(processes: int, folder: Path, *overrides: str) -> subprocess.CompletedProcess:
    """Train it by several processes over gloo, without a launcher: quick, where the launcher is not what is tested."""
    hardware = "hardware=cpu_multi" if processes == 2 else "hardware=auto"
    return warm.run_ranks("accel_cls.train", ["recipe.yaml", hardware, *overrides], folder, processes)


@pytest.fixture
def warm_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that `parity` and `resume --prove` start: quick, where their start is not tested.

    What is left out is the launcher as a process, and imports; the variables that it would set are asked of it.
    """

    def start(command: Sequence[str], log: Path, threads: int) -> warm.Warm:
        profile = read_profile(Path(command[command.index("--config_file") + 1]))
        assert profile.use_cpu
        several = warm.one_of_several(profile.processes) if profile.processes > 1 else {}
        env = {**launcher_variables(command), **several}
        if threads != threads_per_process(1):  # else torch takes as many by itself, in the interpreter of other tests
            env[_THREADS] = str(threads)
        arguments = command[command.index("accel_cls.train") + 1 :]
        return warm.Warm("accel_cls.train", arguments, Path.cwd(), env=env, log=log, processes=profile.processes)

    monkeypatch.setattr("accel_cls.parity.run.start_training", start)
    monkeypatch.setattr("accel_cls.proving.interrupt.start_training", start)


def launcher_variables(command: Sequence[str]) -> dict[str, str]:
    """What `accelerate launch` would add to the environment of the processes that a command of it starts."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env

    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(command[2:]))
    if arguments.multi_gpu or arguments.use_fsdp:
        return {name: text for name, text in prepare_multi_gpu_env(arguments).items() if os.environ.get(name) != text}
    _, env = prepare_simple_launcher_cmd_env(arguments)
    return {name: text for name, text in env.items() if os.environ.get(name) != text}


# Begun last, one of these would leave the other worker with nothing to do: xdist begins with files of many tests.
_LONGEST = [
    "test_gpu_check",
    "test_parity",
    "test_real_data",
    "test_hardware",
    "test_nodes",
    "test_auto_micro_batches",
    "test_environment",
    "test_two_processes",
    "test_short",
    "test_stopping",
    "test_main_job",
    "test_shipped",
    "test_profiling",
    "test_proving",
    "test_rendezvous",
    "test_linear_probe",
    "test_benchmarks",
    "test_pooling",
]


def pytest_configure(config: pytest.Config) -> None:
    """Have xdist give out files in the order below, where it is there and has files to give out."""
    config.option.loadscopereorder = False


def pytest_unconfigure() -> None:
    """Leave nothing behind in the system's folder of temporary files."""
    shutil.rmtree(surroundings.PLACE, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; the others stay in their order."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with the tiny data set and its recipe."""
    write_reviews(tmp_path / "reviews.csv")
    write_recipe(tmp_path)
    return tmp_path


def cli(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    """Run `accel-cls` in this process: exit status, standard output, standard error."""
    from accel_cls.cli import main

    old, sys.argv = sys.argv, ["accel-cls", *arguments]
    try:
        main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    else:
        status = 0
    finally:
        sys.argv = old
    said = capsys.readouterr()
    return status, said.out, said.err


def wait_for(condition: Callable[[], bool], process: subprocess.Popen, seconds: float = 90) -> None:
    """Wait until a condition holds, while a process lives."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stay_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder, keep the datasets library's cache there, and let no connection be made."""
    import datasets

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
