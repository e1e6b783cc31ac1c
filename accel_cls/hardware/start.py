"""What `accel-cls launch` does: show the command, wait for the other machines, run it.

Imports neither torch nor accelerate: what is wrong with a recipe or an option is told at once.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import psutil

from accel_cls.errors import UserError
from accel_cls.hardware.nodes import JOIN_TIMEOUT, Nodes, find_nodes, rank_of, slurm_script, wait_for_port
from accel_cls.profiles import check_devices, launch_command, profile_to_launch, quietly, shell
from accel_cls.recipe import load_to_train
from accel_cls.stopping import INTERRUPTED, STATUS_FILE, stop_signals, stop_with_parent

# The first line of the report of torch's launcher, and what it says while it ends the other processes.
_REPORT = re.compile(rb"E\d{4} .*torch/distributed/elastic/.*failed \(exitcode|Traceback \(most recent call last\):")
_SENDS_SIGNAL = re.compile(rb"W\d{4} .*torch/distributed/elastic/.*Sending process \d+ closing signal")
_RELAY_TIMEOUT = 5  # seconds


def start(
    recipe: str,
    overrides: Sequence[str],
    say: Callable[[str], None],
    *,
    fresh: bool = False,
    processes: int | None = None,
    nodes: int | None = None,
    node_rank: int | None = None,
    main_address: str | None = None,
    join_timeout: int | None = None,
    slurm: bool = False,
    only_print: bool = False,
    more: Sequence[str] = (),
) -> int:
    """Show the command that starts a recipe, or those of all machines, and run this machine's. Returns its status.

    Args:
        recipe, overrides: as on the command line.
        say: prints a line.
        fresh, processes, nodes, node_rank, main_address, join_timeout, slurm, only_print: `accel-cls launch`'s.
        more: other options of the training's command line.

    Raises:
        UserError: for a mistake in the recipe or the options, or where the other machines do not come.
    """
    loaded = load_to_train(recipe, overrides)
    arguments = [*overrides, *more, *(["--fresh"] if fresh else [])]
    if join_timeout is not None:
        arguments += ["--join-timeout", str(join_timeout)]
    if slurm and (node_rank is not None or main_address is not None):
        raise UserError("--slurm: Slurm says which machine is which; leave --node-rank and --main-address out")
    machines = find_nodes(loaded.hardware, nodes, processes, main_address, slurm)
    if machines is None:
        if node_rank is not None:
            raise UserError("--node-rank is for several machines, but this is one: add --nodes N")
        command = launch_command(profile_to_launch(loaded.hardware, processes), recipe, arguments, processes)
        say(f"$ {shell(command)}")
        return 0 if only_print else _run(command)
    if slurm:
        say(slurm_script(loaded.name, str(loaded.output), machines, recipe, arguments, join_timeout).rstrip())
        return 0
    rank = rank_of(machines, node_rank)
    commands = [machines.command(str(one), recipe, arguments, join_timeout) for one in range(machines.count)]
    if only_print:
        for one in range(machines.count) if node_rank is None else [rank]:
            say(f"# node {one}" + (f", which is {machines.host}" if one == 0 and machines.count > 1 else ""))
            say(f"$ {shell(commands[one])}")
        return 0
    say(f"$ {shell(commands[rank])}")
    _check_node(machines, rank, join_timeout or JOIN_TIMEOUT, say)
    if machines.count == 1:
        return _run(commands[0])
    return _run(
        commands[rank], lambda launcher: _wait_for_nodes(launcher, machines, rank, join_timeout or JOIN_TIMEOUT)
    )


def _run(command: Sequence[str], watch: Callable[[subprocess.Popen], None] | None = None) -> int:
    """Run the launcher; returns the exit status of the training, which accelerate would turn into 1.

    In a session of its own, so that what stops a run reaches it once, and by way of this process: the launcher of one
    process passes no signal on, that of several ends after 30 seconds whoever is still saving.
    """
    with tempfile.TemporaryDirectory() as place:
        status_file = Path(place, "status")
        launcher = subprocess.Popen(
            quietly(command),
            env={**os.environ, STATUS_FILE: str(status_file)},
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=stop_with_parent if sys.platform == "linux" else None,
        )
        relay = threading.Thread(target=_relay, args=(launcher.stderr, status_file), daemon=True)
        relay.start()
        if watch is not None:
            try:
                watch(launcher)
            except KeyboardInterrupt:
                _terminate(launcher)
                return INTERRUPTED
        with _forwarding_signals(launcher, status_file):
            status = launcher.wait()
            if status < 0:  # ended by a signal: those whom it has started are told, and may still be saving
                psutil.wait_procs(_orphans(status_file))
        relay.join(_RELAY_TIMEOUT)
        return int(status_file.read_text()) if status and status_file.is_file() else status


def _relay(source: BinaryIO, status_file: Path) -> None:
    """Show what comes from the launcher and the training, but for the report that torch's launcher makes of its end.

    It is a traceback of the launcher's own, below what the training has said itself. A training that ends by a defect
    leaves no status: then all is shown.
    """
    rest = b""
    while chunk := os.read(source.fileno(), 1 << 16):
        if not status_file.is_file():
            _show(rest + chunk)
            rest = b""
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if _REPORT.match(line):
                source.read()  # to its end, or the launcher would wait for somebody to take it
                return
            if not _SENDS_SIGNAL.match(line):
                _show(line + b"\n")
    _show(rest)


def _show(text: bytes) -> None:
    sys.stderr.flush()
    sys.stderr.buffer.write(text)
    sys.stderr.buffer.flush()


@contextmanager
def _forwarding_signals(launcher: subprocess.Popen, status_file: Path) -> Iterator[None]:
    """In the block, what tells this process to stop tells the training processes so."""

    def forward(number: int, _: FrameType | None) -> None:
        is_there = launcher.poll() is None
        try:
            training = psutil.Process(launcher.pid).children() if is_there else _orphans(status_file)
            for process in training:
                process.send_signal(number)
        except psutil.NoSuchProcess:  # it ends just now
            return
        if is_there and not training:
            launcher.terminate()

    heard = stop_signals()
    before = [signal.signal(number, forward) for number in heard]
    try:
        yield
    finally:
        for number, handler in zip(heard, before, strict=True):
            signal.signal(number, handler)


def _orphans(status_file: Path) -> list[psutil.Process]:
    """The processes that were started with this file for their status, and are still there."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # another user's, or gone
            if process.environ().get(STATUS_FILE) == str(status_file):
                found.append(process)
    return found


def _check_node(nodes: Nodes, rank: int, join_timeout: int, say: Callable[[str], None]) -> None:
    """Make sure that this machine can start: that node 0 answers, or that its port is free here.

    Raises:
        UserError: where it can't.
    """
    check_devices(nodes.profile, nodes.processes // nodes.count)
    if nodes.count == 1:
        return
    if rank:
        say(f"waits for node 0 to answer at {nodes.place}, at most {join_timeout} s")
        wait_for_port(nodes.host, nodes.port, join_timeout, "node 0")
        return
    with socket.socket() as trial:
        if trial.connect_ex(("127.0.0.1", nodes.port)) == 0:
            raise UserError(
                f"port {nodes.port} of this machine is taken, by another run perhaps. Give all machines another one "
                f"with --main-address {nodes.host}:PORT"
            )


def _wait_for_nodes(launcher: subprocess.Popen, nodes: Nodes, rank: int, join_timeout: int) -> None:
    """Wait until `accelerate launch` has started processes, which it does when all machines have come to node 0.

    Raises:
        UserError: where they do not come in time, or the launcher ends; it has ended then in both cases.
    """
    deadline = None
    while launcher.poll() is None:
        try:
            process = psutil.Process(launcher.pid)
            if any("accel_cls.train" in child.cmdline() for child in process.children()):
                return
            links = [
                link
                for link in process.net_connections("tcp")
                if nodes.port in {end.port for end in (link.laddr, link.raddr) if end}
            ]
        except psutil.Error:  # it ends just now
            links = []
        if deadline is None and links:  # importing torch takes seconds, and does not count
            deadline = time.monotonic() + join_timeout
        if deadline is not None and time.monotonic() > deadline:
            _terminate(launcher)
            raise UserError(_missing_nodes(nodes, rank, join_timeout, {link.raddr.ip for link in links if link.raddr}))
        time.sleep(0.1)
    if launcher.returncode:
        raise UserError(
            f"accelerate launch ended on node {rank} before it had started a process; what it printed above says why. "
            "Where that is a lost connection, node 0 has ended before: see what is printed there"
        )


def _missing_nodes(nodes: Nodes, rank: int, seconds: int, seen: set[str]) -> str:
    here = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    others = sorted(ip.removeprefix("::ffff:") for ip in seen)
    others = [ip for ip in others if ip not in here]
    text = f"waited {seconds} s: not all {nodes.count} machines have come to {nodes.place}. Here is node {rank}"
    if rank == 0:
        text += f"; connected are {', '.join(others)}" if others else "; no other machine is connected"
        try:
            is_here = socket.gethostbyname(nodes.host) in here
        except OSError:
            is_here = False
        if not is_here:
            text += f".\n{nodes.host} is no address of this machine: give one with --main-address, on all machines"
    return (
        f"{text}.\nStart the command of every machine (--print shows them), each with a --node-rank of its own, and "
        f"see that they reach {nodes.place}; or wait longer with --join-timeout SECONDS"
    )


def _terminate(launcher: subprocess.Popen) -> None:
    """End a launcher that waits for other machines: inside torch's store it hears no Ctrl-C."""
    launcher.terminate()
    try:
        launcher.wait(5)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()
