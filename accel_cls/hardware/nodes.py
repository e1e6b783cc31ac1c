"""Several machines (nodes) of one training: the command of each, a Slurm script, and how they find each other.

Imports neither torch nor accelerate: the commands are printed at once.
"""

from __future__ import annotations

import re
import shlex
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from accel_cls.errors import UserError
from accel_cls.profiles import Profile, find_profile, launch_command, refuse_multi_cpu, shell

JOIN_TIMEOUT = 300  # seconds to wait for other machines or processes
_PORT = 29500  # accelerate's, where a profile names none
_NOTICE = 300  # seconds before the end of a job's time in which Slurm tells it to save
_ELSEWHERE = ("192.0.2.1", 9)  # an address that is kept for documentation: not in any network


@dataclass(frozen=True)
class Nodes:
    """The machines ("nodes", counted from 0) of one training."""

    profile: Profile
    count: int
    processes: int  # over all of them
    host: str  # of node 0
    port: int

    @property
    def place(self) -> str:
        """Where they meet."""
        return f"{self.host} port {self.port}"

    def command(
        self, rank: str, recipe: str, arguments: Sequence[str], join_timeout: int | None, host: str | None = None
    ) -> list[str]:
        """The `accelerate launch` command of one of them; what the profile says is not repeated."""
        profile, options = self.profile, list[str]()
        if self.count != profile.machines:
            options += ["--num_machines", str(self.count)]
        if self.count > 1:
            options += ["--machine_rank", rank]
            if (host or self.host) != profile.main_host:
                options += ["--main_process_ip", host or self.host]
            if self.port != profile.main_port:
                options += ["--main_process_port", str(self.port)]
            if profile.distributed_type == "DEEPSPEED":  # its own launcher would log in to the other machines by ssh
                options += ["--deepspeed_multinode_launcher", "standard"]
            # torch's launcher waits for the other machines before it starts any process here.
            options += ["--rdzv_conf", f"timeout={join_timeout or JOIN_TIMEOUT}"]
        processes = None if self.processes == profile.processes else self.processes
        return launch_command(profile, recipe, arguments, processes, options)


def find_nodes(
    hardware: str, count: int | None, processes: int | None, address: str | None, by_slurm: bool = False
) -> Nodes | None:
    """The machines that a recipe's `hardware` and the command line ask for; None for this machine alone.

    Raises:
        UserError: where the two do not fit together, or do not say enough.
    """
    profile = find_profile(hardware)
    if profile is None and (by_slurm or (count or 1) > 1):
        what = "--slurm" if by_slurm else f"--nodes {count}"
        raise UserError(
            f"{what} with hardware: auto, which looks at this machine only. Name a profile that says what each "
            "machine has, such as hardware=multi_node, or hardware=multi_gpu with --nodes"
        )
    nodes = count or (profile.machines if profile else 1)
    if nodes == 1 and address:
        raise UserError("--main-address is for several machines, but this is one: add --nodes N")
    if profile is None or (nodes == profile.machines == 1 and not by_slurm):
        return None
    refuse_multi_cpu(profile)
    if nodes > 1 and profile.distributed_type in ("NO", "XLA"):
        raise UserError(
            f"{profile.path}: distributed_type {profile.distributed_type} is for one machine, but these are {nodes}. "
            + (
                "Take a profile of MULTI_GPU, FSDP or DEEPSPEED, such as hardware=multi_node"
                if profile.distributed_type == "NO"
                else "Several TPU hosts are started by `accelerate tpu-config`"
            )
        )
    if processes is None and profile.processes % profile.machines:
        raise UserError(
            f"{profile.path}: num_processes {profile.processes} do not divide by num_machines {profile.machines}; "
            "every machine runs as many processes as the others"
        )
    total = processes or profile.processes // profile.machines * nodes
    if total % nodes:
        raise UserError(
            f"--processes {total} do not divide by {nodes} machines; every machine runs as many processes as the "
            f"others: give a multiple of {nodes}, over all machines together"
        )
    host, port = _address(address) if address else (profile.main_host, None)
    if not host and nodes > 1 and not by_slurm:
        raise UserError(
            f"{profile.path} does not name machine 0 (main_process_ip); add --main-address HOST or HOST:PORT, as the "
            "other machines reach it"
        )
    return Nodes(profile, nodes, total, host or "", port or profile.main_port or _PORT)


def rank_of(nodes: Nodes, rank: int | None) -> int:
    """Which of the machines this one is: as given, or as the profile says."""
    if nodes.count == 1 and rank is None:
        return 0
    found = nodes.profile.machine_rank if rank is None else rank
    if found >= nodes.count:
        where = "--node-rank" if rank is not None else f"machine_rank in {nodes.profile.path}"
        raise UserError(f"{where} is {found}, but there are {nodes.count} machines; expected 0 to {nodes.count - 1}")
    return found


def slurm_script(
    name: str, output: str, nodes: Nodes, recipe: str, arguments: Sequence[str], join_timeout: int | None
) -> str:
    """A job for sbatch: one task on each machine, which starts that machine's processes.

    Before its time is up it saves, and queues again. Slurm tells the job's shell alone, which touches SAVE in the run
    folder: a signal to a step reaches accelerate's launchers too, and ends them.
    """
    each, starts_over = nodes.processes // nodes.count, "--fresh" in arguments
    # The job's shell knows the first machine, each task's own shell knows which machine it is on.
    command = shell(nodes.command("$SLURM_NODEID", recipe, arguments, join_timeout, host="$MAIN_ADDRESS"))
    for variable in ("SLURM_NODEID", "MAIN_ADDRESS"):
        command = command.replace(f"'${variable}'", f'"${variable}"')
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={re.sub(r'[^A-Za-z0-9_.-]+', '-', name).strip('-') or 'accel_cls'}",
        f"#SBATCH --nodes={nodes.count}",
        "#SBATCH --ntasks-per-node=1",
        *([] if nodes.profile.use_cpu else [f"#SBATCH --gpus-per-node={each}"]),
        "#SBATCH --output=%x-%j.out",
        f"#SBATCH --signal=B:USR1@{_NOTICE}",
        # A job that starts again goes on from its newest checkpoint, unless it is told to start over.
        *([] if starts_over else ["#SBATCH --requeue"]),
        "# Submit it from this folder, with the environment active. Add what your cluster wants, such as",
        "# --partition, --account, --time and --cpus-per-task.",
        "set -euo pipefail",
        'mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
        'export MAIN_ADDRESS="${hosts[0]}"',
        f"run_folder={shlex.quote(output)}",
        "# The run saves and ends when its time is nearly up.",
        "notified=",
        "trap 'notified=1; touch \"$run_folder/SAVE\"' USR1",
        f"srun --kill-on-bad-exit=1 bash -c {shlex.quote(command)} &",
        "step=$!",
        'while kill -0 "$step" 2> /dev/null; do wait "$step" || true; done',
        'status=0; wait "$step" || status=$?',
        *(
            []
            if starts_over
            else [
                'if [ "$notified" ] && [ ! -e "$run_folder/results.json" ]; then scontrol requeue "$SLURM_JOB_ID"; fi'
            ]
        ),
        'exit "$status"',
    ]
    return "\n".join(lines) + "\n"


def wait_for_port(host: str, port: int, seconds: int, whom: str) -> None:
    """Wait until somebody listens there. A connection that says nothing does not disturb torch's store.

    Raises:
        UserError: after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.1, min(5.0, deadline - time.monotonic()))).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"waited {seconds} s for {whom} to answer at {host} port {port}: {error.strerror or error}.\n"
                    f"Check that {whom} is started, that {host} is its address as seen from here, and that no "
                    f"firewall closes port {port}; or wait longer with --join-timeout SECONDS"
                ) from error
        time.sleep(0.5)


def interface_towards(host: str, port: int) -> str | None:
    """The network interface through which other machines are reached; None where there is none.

    Where `host` is this machine by a name that means the loopback interface, as Debian's installer sets it up, that
    is the way to anywhere else.
    """
    for target in ((host, port), _ELSEWHERE):
        try:
            family, kind, _, _, address = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind) as probe:  # connecting a datagram socket sends nothing
                probe.connect(address)
                own = probe.getsockname()[0]
        except OSError:
            return None
        if own.startswith("127.") or own == "::1":
            continue
        for name, addresses in psutil.net_if_addrs().items():
            if any(address.address.partition("%")[0] == own for address in addresses):
                return name
    return None


def _address(text: str) -> tuple[str, int | None]:
    """HOST, HOST:PORT, an IPv6 address, or [IPv6]:PORT."""
    found = re.fullmatch(
        r"\[(?P<v6>[^\]]+)\](:(?P<port6>\d+))?|(?P<host>[^:]+)(:(?P<port>\d+))?|(?P<bare>.+:.*:.*)", text
    )
    host = found and (found["v6"] or found["host"] or found["bare"])
    port = found and (found["port6"] or found["port"])
    if not host or re.search(r"[\s/]", host) or (port and not 0 < int(port) < 65536):
        raise UserError(
            f"--main-address: found {text!r}; expected HOST or HOST:PORT, such as 10.0.0.1 or node0:29500, with a "
            "port from 1 to 65535"
        )
    return host, int(port) if port else None
