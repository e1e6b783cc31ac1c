"""The rendezvous of a run's processes before their first collective: are all here, and all with the same?

It is held in a key-value store, not in a collective: whoever waits there sees which ranks are missing, learns that
another has failed, and can leave. In a collective all would wait for torch's timeout, and then get its traceback.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from accelerate import Accelerator

from accel_cls.errors import ToldElsewhere, UserError
from accel_cls.hardware.launcher import DistributedEnv, read_distributed_env
from accel_cls.hardware.nodes import wait_for_port
from accel_cls.recipe import Recipe, leaves
from accel_cls.recipe.schema import PATHS
from accel_cls.runs.versions import code_digest, versions

_POLL = 0.1  # seconds between two polls of the store
_NOTICE_AFTER = 10  # seconds after which rank 0 prints that it waits
_LINGER = 2.0  # seconds that process 0 stays, so that all can read why the run ends: it may host the store
_STORE_TIMEOUT = timedelta(seconds=30)  # for one call to the store, in case its host has stopped answering
_FIRST_TOPIC = "start"  # the first topic
_MOST_LINES = 20  # differences shown
# How gloo and NCCL say that another process is gone.
_PEER_GONE = ("Connection closed by peer", "Connection reset by peer", "remote process exited")


class Rendezvous:
    """The processes of this run, as far as they have come, and what each has; with one process, nothing to compare."""

    def __init__(self, store: dist.Store | None, env: DistributedEnv, seconds: int):
        # Kept while the run goes on: where process 0 hosts the store, torch's process group uses the same server.
        self._store = store
        self.rank = env.rank
        self.world_size = env.world_size
        self.hosts: dict[int, str] = {}  # by rank; known to rank 0 only, once all have come
        self._seconds = seconds
        self._env = env
        self._is_open = store is not None

    def require_same(self, topic: str, facts: Mapping[str, str], advice: str) -> None:
        """Wait until every rank has published its facts on this topic, and end the run where they differ.

        Raises:
            UserError: where a process does not come in time, has failed, or has other facts: on process 0 and
                on those that are at fault. The others raise ToldElsewhere.
        """
        if not self._is_open:
            return
        assert self._store is not None
        with self._store_errors_explained():
            self._publish(topic, facts)
            if self.rank:
                self._wait([f"{topic}/agreed"], topic)
                return
            keys = [f"{topic}/{process}" for process in range(self.world_size)]
            self._wait(keys, topic)
            records = [json.loads(record) for record in self._store.multi_get(keys)]
            self.hosts = {process: record["host"] for process, record in enumerate(records)}
            lines, odd = mismatches([record["facts"] for record in records], self.hosts)
            if lines:
                self._abort("\n".join(["the processes of this run are not alike:", *lines, advice]), [0, *odd])
            self._store.set(f"{topic}/agreed", "yes")

    @contextmanager
    def announcing_failure(self) -> Iterator[None]:
        """In the block, while the rendezvous is open, tell the other ranks if this one fails: they wait for it."""
        try:
            yield
        except BaseException as error:
            if not self._is_open:
                raise
            what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}".rstrip(": ")
            end: dict[str, Any] = {}
            with suppress(dist.DistError):  # nobody is left to be told
                end = self._announce_end(f"process {self.rank} on {_host()} stopped: {what}", [0], what)
            if self.rank and end.get("what") == what and end["rank"] != self.rank:
                raise ToldElsewhere(what) from error  # all have found the same mistake
            raise

    def close(self) -> None:
        """From here on ranks meet in collectives, in every update, and nobody polls the store any more."""
        self._is_open = False

    def describe(self) -> str:
        """Which ranks run on which machine; rank 0 knows."""
        return _ranks_by_host(list(self.hosts), self.hosts)

    def _publish(self, topic: str, facts: Mapping[str, str]) -> None:
        assert self._store is not None
        record = json.dumps({"host": _host(), "id": os.getpid(), "facts": dict(facts)})
        found = self._store.compare_set(f"{topic}/{self.rank}", "", record).decode()
        if found != record:
            self._abort(
                f"process {self.rank} has come twice, from {json.loads(found)['host']} and from {_host()}: every "
                "machine needs a --node-rank (accelerate's --machine_rank) of its own, counted from 0",
                [0, self.rank],
            )

    def _wait(self, keys: list[str], topic: str) -> None:
        """Poll until all the keys are in the store, a rank has ended the run, or the time is over."""
        assert self._store is not None
        began = time.monotonic()
        has_noticed = self.rank > 0
        while not self._store.check(keys):
            if self._store.check(["end"]):
                self._abort("", [])
            waited = time.monotonic() - began
            if waited > self._seconds:
                here = self._arrived(topic)
                self._abort(self._missing_message(topic, here), here[:1])
            if waited > _NOTICE_AFTER and not has_noticed:
                has_noticed = True
                missing = _ranges([p for p in range(self.world_size) if p not in self._arrived(topic)])
                print(f"waits for the processes {missing}, at most {self._seconds} s", file=sys.stderr, flush=True)
            time.sleep(_POLL)

    def _arrived(self, topic: str) -> list[int]:
        """The ranks that have published their facts on a topic."""
        assert self._store is not None
        return [process for process in range(self.world_size) if self._store.check([f"{topic}/{process}"])]

    def _missing_message(self, topic: str, here: list[int]) -> str:
        assert self._store is not None
        hosts = {p: json.loads(self._store.get(f"{topic}/{p}"))["host"] for p in here}
        missing = [p for p in range(self.world_size) if p not in here] or [
            0
        ]  # all came, but process 0 does not answer
        come = "processes has not come" if len(missing) == 1 else "processes have not come"
        waited = f"waited {self._seconds} s" + ("" if topic == _FIRST_TOPIC else f" for all to have the {topic}")
        present = _ranks_by_host(here, hosts)
        text = f"{waited}: {len(missing)} of {self.world_size} {come}: {_ranges(missing)}; here: {present}.\n"
        if topic == _FIRST_TOPIC:
            text += f"Start the command of the other machines, and see that they reach {self._env}"
        else:
            text += "They were here before: see what they have printed"
        return f"{text}; or wait longer with --join-timeout SECONDS"

    def _abort(self, text: str, speakers: list[int]) -> NoReturn:
        """End the run on all ranks: for this reason, unless one has been given before."""
        end = self._announce_end(text, speakers)
        raise (UserError if self.rank in end["speakers"] else ToldElsewhere)(end["text"])

    def _announce_end(self, text: str, speakers: list[int], what: str = "") -> dict[str, Any]:
        """Publish why the run ends and let the others read it; returns the reason that was given first."""
        assert self._store is not None
        self._is_open = False
        mine = {"text": text, "speakers": speakers, "what": what, "rank": self.rank}
        end: dict[str, Any] = json.loads(self._store.compare_set("end", "", json.dumps(mine)))
        gone = self._store.add("gone", 1)
        deadline = time.monotonic() + _LINGER
        while self.rank == 0 and gone < self.world_size and time.monotonic() < deadline:
            time.sleep(_POLL)
            gone = self._store.add("gone", 0)
        return end

    @contextmanager
    def _store_errors_explained(self) -> Iterator[None]:
        try:
            yield
        except dist.DistError as error:
            self._is_open = False
            raise _once_per_machine(
                f"the meeting point {self._env} has closed: process 0 or its launcher has ended, and what they have "
                "printed says why"
            ) from error


@contextmanager
def lost_process_explained() -> Iterator[None]:
    """Explain a collective operation that finds another process gone.

    Raises:
        UserError: in place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in _PEER_GONE):
            raise
        raise UserError(
            "another process of this run has ended; its own message, or the launcher's, says why. The same command "
            "goes on from the newest checkpoint"
        ) from error


def compare_by_gather(accelerator: Accelerator, topic: str, facts: Mapping[str, str], advice: str) -> None:
    """The same for processes without a store, which XLA starts, by a gather: it shows only that they differ."""
    digest = hashlib.sha256(json.dumps(dict(facts)).encode()).digest()
    mine = torch.tensor([list(digest[:8])], dtype=torch.int64, device=accelerator.device)
    everyone = accelerator.gather(mine).tolist()
    odd = [process for process, theirs in enumerate(everyone) if theirs != everyone[0]]
    if odd:
        raise UserError(f"process {odd[0]} has other {topic} than process 0\n{advice}")


def join_rendezvous(seconds: int) -> Rendezvous:
    """Join the processes of this run; `seconds` is how long to wait for the others at each topic.

    Raises:
        UserError: where the environment does not say who meets where, or nobody is there in time.
    """
    env = read_distributed_env()
    if env.world_size == 1:
        return Rendezvous(None, env, seconds)
    # torch's launcher hosts a store for its processes. Without it process 0 does, as torch itself would then;
    # multi_tenant lets torch's process group use the same server.
    is_host = env.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        if not is_host:  # a store that does not answer makes torch print pages
            wait_for_port(env.host, env.port, seconds, "process 0")
        server = dist.TCPStore(
            env.host, env.port, is_master=is_host, timeout=_STORE_TIMEOUT, wait_for_workers=False, multi_tenant=is_host
        )
    except UserError as error:
        raise _once_per_machine(str(error)) from error
    except dist.DistError as error:
        reason = str(error).splitlines()[0]
        raise _once_per_machine(f"process {env.rank} can't meet the others at {env}: {reason}") from error
    # A launcher that starts its processes again keeps the store: what an attempt before left there is not for us.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Rendezvous(dist.PrefixStore(f"accel_cls/{attempt}", server), env, seconds)


def facts_of(recipe: Recipe) -> dict[str, str]:
    """What has to be the same for all processes before they start: code, versions, and the recipe but for paths."""
    # A patch level of Python changes nothing that a training computes.
    python = ".".join(platform.python_version_tuple()[:2])
    facts = versions() | {"accel_cls code": code_digest(), "python": python}
    for key, value in leaves(recipe.model_dump(mode="json", exclude_none=True)):
        if not any(f"{key}.".startswith(".".join(path) + ".") for path in PATHS):
            facts[key] = str(value)
    return facts


def mismatches(facts: Sequence[Mapping[str, str]], hosts: Mapping[int, str]) -> tuple[list[str], list[int]]:
    """A line for each fact that is not the same everywhere, naming who has another than most; and all of those."""
    lines: list[str] = []
    odd: set[int] = set()
    for name in dict.fromkeys(name for one in facts for name in one):
        values = [one.get(name, "not set") for one in facts]
        counts = Counter(values)
        # Where as many have one as the other, process 0 is right.
        most = max(counts, key=lambda value: (counts[value], value == values[0]))
        parts = []
        for value in dict.fromkeys(values):
            who = [process for process, other in enumerate(values) if other == value]
            if value != most:
                odd.update(who)
                parts.append(f"{_ranks_by_host(who, hosts)} {'has' if len(who) == 1 else 'have'} {name} {value:.80}")
        if parts:
            rest = "all others" if counts[most] > 1 else _ranks_by_host([values.index(most)], hosts)
            lines.append(f"  {'; '.join(parts)}, {rest} {most:.80}")
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"  and {len(lines) - _MOST_LINES} more"]
    return lines, sorted(odd - {0})


def _ranks_by_host(processes: Sequence[int], hosts: Mapping[int, str]) -> str:
    """As people call them: "process 3 on node1", "processes 0–7 on node0, 8–15 on node1"."""
    groups = {host: [p for p in processes if hosts[p] == host] for host in dict.fromkeys(hosts[p] for p in processes)}
    many = "process" if len(processes) == 1 else "processes"
    return f"{many} " + ", ".join(f"{_ranges(group)} on {host}" for host, group in groups.items())


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, runs of them shortened: "0–7, 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _once_per_machine(text: str) -> UserError:
    """An error that all processes of a machine find alike: local rank 0 reports it."""
    return UserError(text) if os.environ.get("LOCAL_RANK", "0") == "0" else ToldElsewhere(text)


def _host() -> str:
    return socket.gethostname()
