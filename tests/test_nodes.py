"""Several machines: the command of each, a job for Slurm, waiting for the others, two hosts that train together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import cli, command, free_port, train, wait_for, write_recipe, write_reviews

from accel_cls.errors import UserError
from accel_cls.hardware.nodes import wait_for_port

BIN = Path(sys.executable).parent
TWO = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
use_cpu: true
num_machines: 2
num_processes: 2
machine_rank: 0
mixed_precision: "no"
"""


@pytest.fixture
def here(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the tiny recipe, as the current one, and a profile of two machines in it."""
    (work / "two.yaml").write_text(TWO, encoding="utf-8")
    monkeypatch.chdir(work)
    return work


# The commands ------------------------------------------------------------------------------------------


def commands(capsys: pytest.CaptureFixture, *arguments: str) -> list[str]:
    status, out, err = cli(capsys, "launch", "recipe.yaml", *arguments, "--print")
    assert status == 0, err
    return [line.partition("two.yaml ")[2] for line in out.splitlines() if line.startswith("$ ")]


@pytest.mark.usefixtures("here")
def test_print_shows_the_command_of_each_machine(capsys: pytest.CaptureFixture) -> None:
    rest = "--rdzv_conf timeout=300 -m accel_cls.train recipe.yaml hardware=./two.yaml"
    assert commands(capsys, "hardware=./two.yaml", "--main-address", "10.0.0.7") == [
        f"--machine_rank 0 --main_process_ip 10.0.0.7 --main_process_port 29500 {rest}",
        f"--machine_rank 1 --main_process_ip 10.0.0.7 --main_process_port 29500 {rest}",
    ]


@pytest.mark.usefixtures("here")
def test_options_come_before_what_the_profile_says(capsys: pytest.CaptureFixture) -> None:
    Path("two.yaml").write_text(TWO + "main_process_ip: node0\nmain_process_port: 1234\n")
    same = commands(capsys, "hardware=./two.yaml")
    assert same[1].startswith("--machine_rank 1 --rdzv_conf")
    more = ["--nodes", "3", "--main-address", "[::2]:99", "--join-timeout", "7", "--node-rank", "2", "--fresh"]
    assert commands(capsys, "hardware=./two.yaml", *more) == [
        "--num_processes 3 --num_machines 3 --machine_rank 2 --main_process_ip ::2 --main_process_port 99 "
        "--rdzv_conf timeout=7 -m accel_cls.train recipe.yaml hardware=./two.yaml --fresh --join-timeout 7"
    ]
    assert commands(capsys, "hardware=./two.yaml", "--nodes", "1") == [
        "--num_processes 1 --num_machines 1 -m accel_cls.train recipe.yaml hardware=./two.yaml"
    ]


@pytest.mark.usefixtures("here")
def test_a_profile_of_one_machine_is_multiplied(capsys: pytest.CaptureFixture) -> None:
    address = ("--main-address", "a", "--print")
    status, out, err = cli(capsys, "launch", "recipe.yaml", "hardware=multi_gpu", "--nodes", "4", *address)
    assert status == 0, err
    assert "--num_processes 8 --num_machines 4 --machine_rank 3 --main_process_ip a " in out
    status, out, _ = cli(capsys, "launch", "recipe.yaml", "hardware=deepspeed", "--nodes", "2", *address)
    assert status == 0
    assert "--deepspeed_multinode_launcher standard" in out


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("hardware=./two.yaml", "two.yaml does not name machine 0 (main_process_ip); add --main-address HOST"),
        (
            "hardware=./two.yaml --main-address a --node-rank 2",
            "--node-rank is 2, but there are 2 machines; expected 0",
        ),
        ("hardware=./two.yaml --main-address a --processes 3", "--processes 3 do not divide by 2 machines"),
        ("hardware=./two.yaml --main-address a:b", "--main-address: found 'a:b'; expected HOST or HOST:PORT"),
        ("hardware=./two.yaml --main-address a:70000", "a port from 1 to 65535"),
        ("hardware=./two.yaml --nodes 1 --main-address a", "--main-address is for several machines"),
        ("hardware=cpu --node-rank 1", "--node-rank is for several machines, but this is one: add --nodes N"),
        ("hardware=cpu --nodes 2 --main-address a", "distributed_type NO is for one machine, but these are 2"),
        ("hardware=tpu --nodes 2 --main-address a", "started by `accelerate tpu-config`"),
        ("--nodes 2 --main-address a", "--nodes 2 with hardware: auto, which looks at this machine only"),
        ("--slurm", "--slurm with hardware: auto"),
        ("hardware=./two.yaml --slurm --node-rank 1", "--slurm: Slurm says which machine is which"),
    ],
)
def test_misuse_is_explained(capsys: pytest.CaptureFixture, arguments: str, words: str) -> None:
    status, out, err = cli(capsys, "launch", "recipe.yaml", *arguments.split(), "--print")
    assert (status, out) == (2, "")
    assert words in err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("num_processes: 3", "num_processes 3 do not divide by num_machines 2"),
        ("machine_rank: 2", "machine_rank in"),
        ("machine_rank: -1", "machine_rank is -1; expected a whole number, 0 or more"),
    ],
)
def test_profile_that_contradicts_itself(capsys: pytest.CaptureFixture, line: str, words: str) -> None:
    Path("two.yaml").write_text(f"{TWO}main_process_ip: a\n{line}\n")
    status, _, err = cli(capsys, "launch", "recipe.yaml", "hardware=./two.yaml", "--print")
    assert status == 2
    assert words in err


def with_stand_ins(**scripts: str) -> str:
    """PATH with these bash scripts in front, by the names of the commands that they stand for."""
    Path("bin").mkdir()
    for name, body in scripts.items():
        Path("bin", name).write_text(f"#!/bin/bash\n{body}\n")
        Path("bin", name).chmod(0o755)
    return f"{Path('bin').resolve()}:{os.environ['PATH']}"


@pytest.mark.usefixtures("here")
def test_slurm_script_starts_one_command_on_each_machine(capsys: pytest.CaptureFixture) -> None:
    overrides = ["hardware=multi_node", "name=it's a test", "data.labels={0: BAD, 1: $GOOD}"]
    status, out, err = cli(capsys, "launch", "recipe.yaml", *overrides, "--slurm", "--join-timeout", "60")
    assert status == 0, err
    for line in (
        "nodes=2",
        "ntasks-per-node=1",
        "gpus-per-node=8",
        "job-name=it-s-a-test",
        "requeue",
        "signal=B:USR1@300",
    ):
        assert f"#SBATCH --{line}\n" in out
    Path("job.sh").write_text(out)
    assert subprocess.run(["bash", "-n", "job.sh"], check=False).returncode == 0
    # A cluster in small: srun runs its command once for each machine, and accelerate says how it was called.
    path = with_stand_ins(
        scontrol='set -e; test "$*" = "show hostnames n[7-8]"; printf "n7\\nn8\\n"',
        srun='set -e; shift; for id in 0 1; do SLURM_NODEID=$id "$@"; done',
        accelerate=f"{sys.executable} -c 'import json, sys; print(json.dumps(sys.argv[1:]))' \"$@\"",
    )
    env = {**os.environ, "PATH": path, "SLURM_JOB_NODELIST": "n[7-8]"}
    done = subprocess.run(["bash", "job.sh"], env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    started = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(started) == 2
    for rank, words in enumerate(started):
        assert words[words.index("--machine_rank") + 1] == str(rank)
        assert words[words.index("--main_process_ip") + 1] == "n7"
        assert words[words.index("-m") :] == [
            "-m",
            "accel_cls.train",
            "recipe.yaml",
            *overrides,
            "--join-timeout",
            "60",
        ]


@pytest.mark.parametrize(("finishes", "ends"), [(False, 75), (False, -9), (True, 0)])
@pytest.mark.usefixtures("here")
def test_slurm_job_saves_and_queues_again_when_its_time_is_nearly_up(
    capsys: pytest.CaptureFixture, finishes: bool, ends: int
) -> None:
    status, out, err = cli(capsys, "launch", "recipe.yaml", "hardware=multi_node", "output=it's a run", "--slurm")
    assert status == 0, err
    Path("job.sh").write_text(out)
    Path("it's a run").mkdir()
    results = 'touch "it\'s a run/results.json"; ' if finishes else ""
    leave = "kill -9 $$" if ends < 0 else f"exit {ends}"
    path = with_stand_ins(
        scontrol='if [ "$1" = show ]; then echo n7; else echo "$*" > requeued; fi',
        # The step ends when the run finds the file, as a run does.
        srun=f'touch started; until [ -e "it\'s a run/SAVE" ]; do sleep 0.05; done; {results}{leave}',
    )
    env = {**os.environ, "PATH": path, "SLURM_JOB_NODELIST": "n7", "SLURM_JOB_ID": "42"}
    with subprocess.Popen(["bash", "job.sh"], env=env) as job:
        wait_for(Path("started").exists, job)
        job.send_signal(signal.SIGUSR1)
        assert job.wait(30) == (137 if ends < 0 else ends)
    assert Path("requeued").exists() != finishes
    if not finishes:
        assert Path("requeued").read_text() == "requeue 42\n"


@pytest.mark.usefixtures("here")
def test_slurm_script_that_starts_over_is_not_started_again(capsys: pytest.CaptureFixture) -> None:
    status, out, _ = cli(capsys, "launch", "recipe.yaml", "hardware=./two.yaml", "--slurm", "--fresh")
    assert status == 0
    assert "requeue" not in out
    assert "gpus" not in out


# Machines that do not come ------------------------------------------------------------------------------


def test_launch_says_which_machine_does_not_come(here: Path) -> None:
    port = free_port()
    launch = ("accel-cls", "launch", "recipe.yaml", "hardware=./two.yaml", "--main-address", f"127.0.0.1:{port}")
    first = command(*launch, "--join-timeout", "1", cwd=here)
    assert first.returncode == 2
    assert (
        f"waited 1 s: not all 2 machines have come to 127.0.0.1 port {port}. Here is node 0; no other" in first.stderr
    )
    assert "Traceback" not in first.stderr
    second = command(*launch, "--join-timeout", "1", "--node-rank", "1", cwd=here)
    assert second.returncode == 2
    assert f"waits for node 0 to answer at 127.0.0.1 port {port}, at most 1 s" in second.stdout
    assert second.stderr.startswith(f"waited 1 s for node 0 to answer at 127.0.0.1 port {port}: Connection refused.\n")


def test_a_port_that_is_taken_is_told(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        refused = command(
            *("accel-cls", "launch", "recipe.yaml", "hardware=./two.yaml", "--main-address", address), cwd=here
        )
    assert refused.returncode == 2
    assert "of this machine is taken" in refused.stderr


def test_waiting_ends_when_somebody_answers() -> None:
    port = free_port()
    opened: list[socket.socket] = []
    timer = threading.Timer(0.3, lambda: opened.append(socket.create_server(("127.0.0.1", port))))
    timer.start()
    wait_for_port("127.0.0.1", port, 10, "node 0")
    opened[0].close()
    with pytest.raises(UserError, match="waited 0 s for node 0"):
        wait_for_port("127.0.0.1", port, 0, "node 0")


# Two machines ------------------------------------------------------------------------------------------

On = Callable[..., subprocess.Popen]


def join_by_cable(names: Sequence[str], folder: Path) -> None:
    """Addresses of two namespaces; hosts0, hosts1 and resolv.conf, which their hosts are to see, go into a folder."""

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, timeout=10)

    ip("link", "add", "cable0", "netns", names[0], "type", "veth", "peer", "name", "cable1", "netns", names[1])
    for node, name in enumerate(names):
        ip("-n", name, "addr", "add", f"10.77.0.{node + 1}/24", "dev", f"cable{node}")
        ip("-n", name, "link", "set", f"cable{node}", "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "route", "add", "default", "dev", f"cable{node}")
        other = 1 - node
        hosts = f"127.0.0.1 localhost\n127.0.1.1 node{node}\n10.77.0.{other + 1} node{other}\n"
        (folder / f"hosts{node}").write_text(hosts)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")  # where nobody answers, and says so


@contextmanager
def two_hosts(folder: Path) -> Iterator[On]:
    """Two network namespaces joined by a cable, each a host with a name of its own: `on(0, command …)` starts there.

    As on a fresh Debian, each host's own name means its loopback interface, in its own /etc/hosts.
    """
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("network namespaces need root, and the commands ip and unshare")
    names = [f"accel{os.getpid()}n{node}" for node in (0, 1)]
    made = [
        subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False) for name in names
    ]
    started: list[subprocess.Popen] = []

    def on(node: int, *words: str) -> subprocess.Popen:
        script = (
            f"mount --bind hosts{node} /etc/hosts && hostname node{node} || exit 9\n"
            "mount --bind resolv.conf /etc/resolv.conf  # else each look-up of a name waits for its time-out\n"
            'exec "$@"'
        )
        program, *rest = words
        process = subprocess.Popen(
            [*f"ip netns exec {names[node]} unshare --uts sh -c".split(), script, "sh", BIN / program, *rest],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    try:
        if any(one.returncode for one in made):
            pytest.skip(f"no network namespaces here: {made[0].stderr or made[1].stderr}")
        join_by_cable(names, folder)
        yield on
    finally:
        for process in started:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def test_two_machines_give_the_curve_of_one_and_share_a_disk_to_continue(tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv")
    write_recipe(tmp_path, evaluate="{every: 6}", checkpoint="{every: 6}")
    (tmp_path / "two.yaml").write_text(TWO, encoding="utf-8")
    for node in (0, 1):  # what lies on each machine's own disk
        (tmp_path / f"disk{node}").mkdir()
        shutil.copy(tmp_path / "reviews.csv", tmp_path / f"disk{node}")
    with two_hosts(tmp_path) as on:

        def run_on_both() -> list[tuple[int, str, str]]:
            launched = [
                on(
                    node,
                    *("accel-cls", "launch", "recipe.yaml", "hardware=./two.yaml", "--main-address", "node0:29507"),
                    *("--node-rank", str(node), f"output=disk{node}/run", f"data.train=disk{node}/reviews.csv"),
                )
                for node in (1, 0)
            ]
            said = [process.communicate(timeout=120) for process in launched]
            return [(p.returncode, *texts) for p, texts in zip(launched, said, strict=True)][::-1]

        (status, out, err), (status1, out1, err1) = run_on_both()
        assert (status, status1) == (0, 0), err + err1
        assert "2 processes on cpu, 1 thread each, MULTI_CPU over gloo on cable0; precision fp32" in out
        assert "processes 0 on node0, 1 on node1" in out
        assert "waits for node 0 to answer at node0 port 29507" in out1
        assert "finished" not in out1, "only the first process speaks"
        assert not (tmp_path / "disk1" / "run").exists(), "only the first process writes"

        one = train(tmp_path, "output=one", env={"OMP_NUM_THREADS": "1"})
        assert one.returncode == 0, one.stderr
        ours, theirs = (
            [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
            for run in ("one", "disk0/run")
        )
        assert [record["update"] for record in ours] == [record["update"] for record in theirs]
        losses = [[record["loss"] for record in records if "loss" in record] for records in (ours, theirs)]
        assert len(losses[0]) == 12
        assert losses[1] == pytest.approx(losses[0], abs=1e-5, rel=0)
        scores = [[record["evaluation"] for record in records if "evaluation" in record] for records in (ours, theirs)]
        for left, right in zip(*scores, strict=True):
            assert left == pytest.approx(right, abs=1e-5)

        run = tmp_path / "disk0" / "run"
        (run / "results.json").unlink()
        shutil.rmtree(run / "checkpoints" / "update-000012")
        (status, out, err), (status1, _, err1) = run_on_both()
        assert status == status1 == 2, err + err1
        missing = f"there is no checkpoint {tmp_path}/disk1/run/checkpoints/update-000006"
        assert f"\nprocess 1 on node1 stopped: {missing} (No such file or directory)" in err
        assert "`output` has to be on a disk that all of them share" in err
        assert f"\n[process 1] {missing}" in err1
