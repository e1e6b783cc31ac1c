"""Profiles and launchers as a user meets them: the banner tells the truth, and silent traps are errors."""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path

import pytest
import torch
from conftest import ROOT, cli, command, train

from accel_cls.hardware.launcher import SWITCHES, VALUES, flags_of, with_flags
from accel_cls.hardware.start import _relay
from accel_cls.profiles import find_profile, profile_names

ACCELERATE = ("accelerate", "launch")
WITHOUT_GPU = pytest.mark.skipif(torch.accelerator.is_available(), reason="says what a machine without a GPU says")
CPU = ("cpu", "cpu_multi")

# Every shipped profile is started -----------------------------------------------------------------------


REFUSED = {
    "gpu": "asks for 1 process on GPU, precision bf16",
    "mps": "asks for 1 process on GPU, precision fp32",
    "multi_gpu": "asks for 2 processes on GPUs, precision bf16",
    "fsdp": "asks for 2 processes on GPUs with FSDP, precision bf16",
    "deepspeed": "asks for 2 processes on GPUs with DeepSpeed, precision bf16",
    "multi_node": "asks for 16 processes on GPUs over 2 machines, precision bf16",
    "tpu": "asks for 8 processes on TPUs, precision bf16",
}


def test_each_shipped_profile_is_started_here() -> None:
    assert {*CPU, *REFUSED} == set(profile_names())


@WITHOUT_GPU
@pytest.mark.parametrize("name", REFUSED)
def test_launch_refuses_hardware_that_is_not_there(work: Path, monkeypatch, capsys, name: str) -> None:
    monkeypatch.chdir(work)
    status, _, errors = cli(capsys, "launch", "recipe.yaml", f"hardware={name}")
    assert status == 2
    assert f"hardware: {name} (" in errors
    assert REFUSED[name] in errors
    missing = {"deepspeed": "DeepSpeed, which is not installed", "tpu": "torch_xla, which is not installed"}
    assert missing.get(name, "this machine has no GPU that torch can use") in errors
    assert "hardware=auto" in errors, "what to do instead"


@WITHOUT_GPU
def test_a_run_refuses_hardware_that_is_not_there(work: Path) -> None:
    """Accelerate starts what a GPU profile asks for also without a GPU: on the CPU, silently. Here by two."""
    path = find_profile("fsdp").path
    refused = train(work, "hardware=fsdp", launcher=(*ACCELERATE, "--config_file", str(path)))
    assert refused.returncode != 0
    assert f"{REFUSED['fsdp']}; but this machine shows torch no accelerator, only its CPU" in refused.stderr
    assert f"{path.name} -m accel_cls.train recipe.yaml hardware=fsdp\n" in refused.stderr
    assert not (work / "run").exists()


WAYS = {
    "python": ("python",),
    "torchrun": ("torchrun", "--nproc_per_node", "2"),
    "accelerate launch, cpu_multi": (*ACCELERATE, "--config_file", "cpu_multi.yaml"),
}


@pytest.mark.parametrize("way", WAYS)
def test_banner_tells_the_truth_however_it_was_started(work: Path, way: str) -> None:
    """As does the banner of `accel-cls launch`, and of accelerate launch without a file: see test_main_job.

    With the file of one process: see the test of a flag that wins over it.
    """
    name = "cpu" if way == "python" else "cpu_multi"
    profile_here(work, "cpu_multi")
    done = train(work, f"hardware={name}", "train.max_updates=2", launcher=WAYS[way])
    assert done.returncode == 0, done.stderr
    banner = done.stdout.splitlines()[1:3]
    together = {"cpu": "1 process on cpu", "cpu_multi": "2 processes on cpu"}[name]
    assert banner[0].startswith(f"  hardware      {together}, ")
    assert banner[0].endswith("; precision fp32")
    assert (", MULTI_CPU over gloo;" in banner[0]) == (name == "cpu_multi")
    started, _, file = way.partition(", ")
    told = {"python": "no config file in force", "torchrun": "which reads no accelerate config file"}
    assert banner[1] == f"  started by    {started}; {told.get(started, f'config file {file}.yaml')}"


def profile_here(work: Path, name: str) -> None:
    shutil.copy(ROOT / "accelerate_configs" / f"{name}.yaml", work)


# Silent traps -------------------------------------------------------------------------------------------


def test_a_profile_that_is_not_what_runs_is_refused_with_the_right_command(work: Path) -> None:
    refused = train(work, "hardware=multi_gpu", launcher=ACCELERATE)
    assert refused.returncode != 0
    assert "multi_gpu.yaml) asks for 2 processes on GPUs, precision bf16" in refused.stderr
    assert "1 process is running instead of 2" in refused.stderr
    assert "multi_gpu.yaml -m accel_cls.train recipe.yaml hardware=multi_gpu" in refused.stderr
    assert not (work / "run").exists()


def test_default_is_what_accelerate_config_wrote(work: Path) -> None:
    (work / "home" / "accelerate").mkdir(parents=True)
    shutil.copy(ROOT / "accelerate_configs" / "cpu_multi.yaml", work / "home" / "accelerate" / "default_config.yaml")
    env = {"HF_HOME": str(work / "home")}
    done = train(work, "hardware=default", "train.max_updates=2", launcher=ACCELERATE, env=env)
    assert done.returncode == 0, done.stderr
    assert "2 processes on cpu" in done.stdout
    assert "default_config.yaml, which `accelerate config` wrote" in done.stdout


def test_multi_cpu_config_is_refused_since_it_starts_one_process(work: Path) -> None:
    text = (ROOT / "accelerate_configs" / "cpu_multi.yaml").read_text(encoding="utf-8")
    (work / "mine.yaml").write_text(text.replace("MULTI_GPU", "MULTI_CPU"), encoding="utf-8")
    refused = train(work, launcher=(*ACCELERATE, "--config_file", "mine.yaml"))
    assert refused.returncode != 0
    assert (
        "2 processes were asked for, but accelerate launch started one: with distributed_type MULTI_CPU it"
        in refused.stderr
    )


@pytest.mark.parametrize(("kind", "words"), [("FSDP", "this one is alone"), ("DEEPSPEED", "this one is alone")])
def test_sharding_that_would_not_happen_is_refused(work: Path, kind: str, words: str) -> None:
    """A leftover of an accelerate launch in the shell: accelerate would leave it out, or end in a traceback."""
    refused = train(work, env={f"ACCELERATE_USE_{kind}": "true"})
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


# Flags of accelerate launch ----------------------------------------------------------------------------


def test_flag_wins_over_the_config_file_and_the_banner_says_so(work: Path) -> None:
    profile_here(work, "cpu")
    launcher = (*ACCELERATE, "--config_file", "cpu.yaml", "--mixed-precision=bf16")
    done = train(work, "train.max_updates=2", launcher=launcher)
    assert done.returncode == 0, done.stderr
    banner = done.stdout.splitlines()[1:3]
    assert banner[0].endswith("; precision bf16")
    assert banner[1] == (
        "  started by    accelerate launch; config file cpu.yaml; from the command line: --mixed_precision bf16 "
        "(in the file: no)"
    )


def test_flag_that_starts_another_number_of_processes_wins(work: Path) -> None:
    profile_here(work, "cpu_multi")
    launcher = (*ACCELERATE, "--config-file=cpu_multi.yaml", "--num-processes", "5", "--num-processes", "3")
    done = train(work, "train.max_updates=2", launcher=launcher)
    assert done.returncode == 0, done.stderr
    banner = done.stdout.splitlines()[1:3]
    assert banner[0].startswith("  hardware      3 processes on cpu, ")
    assert banner[1].endswith(
        "; config file cpu_multi.yaml; from the command line: --num_processes 3 (in the file: 2)"
    )


def test_flag_that_contradicts_a_named_profile_is_refused_and_both_ways_out_are_shown(work: Path) -> None:
    profile_here(work, "cpu")
    launcher = (*ACCELERATE, "--config_file", "cpu.yaml", "--mixed_precision", "bf16")
    refused = train(work, "hardware=cpu", "train.max_updates=2", launcher=launcher)
    assert refused.returncode != 0
    assert "precision is bf16 (--mixed_precision on the command line), not fp32" in refused.stderr
    assert "without --mixed_precision bf16:\n" in refused.stderr
    assert (
        "accelerate_configs/cpu.yaml -m accel_cls.train recipe.yaml hardware=cpu train.max_updates=2\n"
        in refused.stderr
    )
    kept = "accelerate launch --config_file cpu.yaml --mixed_precision bf16 -m accel_cls.train recipe.yaml"
    assert f"{kept} train.max_updates=2 hardware=auto\n" in refused.stderr  # which the test above it starts


def test_one_process_where_two_were_asked_for_is_refused(work: Path) -> None:
    refused = train(work, launcher=(*ACCELERATE, "--cpu", "--num_processes", "2"))
    assert refused.returncode != 0
    assert "2 processes were asked for, but accelerate launch started one: with --cpu it" in refused.stderr


def test_processes_that_a_file_for_one_process_does_not_start_are_refused(work: Path) -> None:
    """accelerate starts one, silently. Beside hardware=cpu, which is no better, nothing else is to be said."""
    profile_here(work, "cpu")
    launcher = (*ACCELERATE, "--config_file", "cpu.yaml", "--num_processes", "2")
    refused = train(work, "hardware=cpu", launcher=launcher)
    assert refused.returncode != 0
    assert (
        "2 processes were asked for, but accelerate launch started one: with distributed_type NO it" in refused.stderr
    )
    assert re.search(
        r"cpu_multi.yaml --num_processes 2 -m accel_cls.train recipe.yaml hardware=auto\n", refused.stderr
    )


FLAGS = [
    (["--mixed_precision", "FP16"], {"mixed_precision": "fp16"}),
    (["--num_processes=4", "--num_machines", "2", "--machine-rank", "1"], {"processes": 4, "machines": 2}),
    (["--machine_rank", "1"], {"machine_rank": 1}),
    (["--main_process_ip", "10.0.0.9", "--main-process-port=12"], {"main_host": "10.0.0.9", "main_port": 12}),
    (["--cpu"], {"use_cpu": True, "distributed_type": "NO"}),
    (["--use_fsdp"], {"distributed_type": "FSDP"}),
    (["--use-deepspeed"], {"distributed_type": "DEEPSPEED"}),
    (["--multi_gpu"], {"distributed_type": "MULTI_GPU"}),
    (["--tpu"], {"distributed_type": "XLA"}),
    (["-q", "-m"], {}),
]


@pytest.mark.parametrize(("written", "changes"), FLAGS, ids=str)
def test_each_flag_that_a_profile_has_wins_over_it(written: list[str], changes: dict[str, object]) -> None:
    profile = find_profile("fsdp")
    arguments = ["accelerate", "launch", *written, "accel_cls.train", "r.yaml", "--num_processes", "9"]
    changed = with_flags(profile, flags_of(arguments, VALUES))
    assert {name: getattr(changed, name) for name in changes} == changes
    assert changes or changed == profile


def test_our_parser_of_flags_agrees_with_accelerates() -> None:
    from accelerate.commands.launch import launch_command_parser

    ours = {f"--{name}" for name in (*VALUES, *SWITCHES)}
    known = {option: action for action in launch_command_parser()._actions for option in action.option_strings}
    assert ours <= {*known}
    assert {name for name in ours if known[name].nargs == 0} == {f"--{name}" for name in SWITCHES}


# What the launcher adds --------------------------------------------------------------------------------


def test_mistake_that_two_processes_find_is_told_once_and_without_a_traceback(work: Path) -> None:
    refused = command(
        *("accel-cls", "launch", "recipe.yaml", "hardware=cpu_multi", "data.train=nowhere.csv"), cwd=work
    )
    assert refused.returncode == 2
    assert refused.stderr.count("nowhere.csv: there is no such data file") == 1, refused.stderr
    assert not re.search("Traceback|elastic|That is all", refused.stderr), refused.stderr


LAUNCHER = b"""\
W1125 08:59:20.3 13564 torch/distributed/elastic/multiprocessing/api.py:908] Sending process 3 closing signal SIGTERM
[process 1] a last word
E1125 08:59:20.391000 13564 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: 75) local_rank: 0
Traceback (most recent call last):
  File "torch/distributed/run.py", line 1019, in run
"""


@pytest.mark.parametrize("is_explained", [True, False])
def test_only_a_report_of_what_is_explained_is_left_out(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture, is_explained: bool
) -> None:
    reader, writer = os.pipe()
    if is_explained:
        (tmp_path / "status").write_text("2")
    with open(reader, "rb") as source, open(writer, "wb", buffering=0) as sink:
        relay = threading.Thread(target=_relay, args=(source, tmp_path / "status"))
        relay.start()
        for start in range(0, len(LAUNCHER), 50):  # as it comes: in pieces
            sink.write(LAUNCHER[start : start + 50])
        sink.close()
        relay.join(30)
    assert capfdbinary.readouterr().err == (b"[process 1] a last word\n" if is_explained else LAUNCHER)
