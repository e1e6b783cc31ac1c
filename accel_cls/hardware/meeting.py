"""Where the processes of a run meet before they depend on one another: all here, and all with the same?

They meet in a store, not in a collective: who waits there sees who is missing, can be told that another has
failed, and can leave. In a collective all of them would wait for torch's timeout, and then get its traceback.
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
from accel_cls.hardware.launcher import Place, find_place
from accel_cls.hardware.nodes import wait_for_answer
from accel_cls.recipe import Recipe, leaves
from accel_cls.recipe.schema import PATHS
from accel_cls.runs.versions import code_digest, versions

_PAUSE = 0.1  # seconds between two looks into the store
_PATIENCE = 10  # seconds after which process 0 says that it waits
_LAST_WORD = 2.0  # seconds that process 0 stays, so that all can read why the run ends: it may host the store
_CALL = timedelta(seconds=30)  # for one call to the store, in case its host has stopped answering
_START = "start"  # the first topic
_LINES = 20  # differences shown
# How gloo and NCCL say that another process is gone.
_ENDED = ("Connection closed by peer", "Connection reset by peer", "remote process exited")


class Meeting:
    """The processes of this run, as far as they have come. One process is always at one with itself."""

    def __init__(self, store: dist.Store | None, place: Place, seconds: int):
        # Kept while the run goes on: where process 0 hosts the store, torch's process group uses the same server.
        self._store = store
        self.process = place.process
        self.processes = place.processes
        self.hosts: dict[int, str] = {}  # known to process 0 only, once all have come
        self._seconds = seconds
        self._place = place
        self._is_open = store is not None

    def agree(self, topic: str, facts: Mapping[str, str], advice: str) -> None:
        """Wait until every process has come to this topic with its facts, and end the run where they differ.

        Raises:
            UserError: where a process does not come in time, has failed, or has other facts: on process 0 and
                on those that are at fault. The others raise ToldElsewhere.
        """
        if not self._is_open:
            return
        assert self._store is not None
        with self._reachable():
            self._say(topic, facts)
            if self.process:
                self._wait([f"{topic}/agreed"], topic)
                return
            keys = [f"{topic}/{process}" for process in range(self.processes)]
            self._wait(keys, topic)
            records = [json.loads(record) for record in self._store.multi_get(keys)]
            self.hosts = {process: record["host"] for process, record in enumerate(records)}
            lines, odd = differences([record["facts"] for record in records], self.hosts)
            if lines:
                self._end("\n".join(["the processes of this run are not alike:", *lines, advice]), [0, *odd])
            self._store.set(f"{topic}/agreed", "yes")

    @contextmanager
    def telling(self) -> Iterator[None]:
        """While the meeting is open, tell the others when this process fails: they would wait for it."""
        try:
            yield
        except BaseException as error:
            if not self._is_open:
                raise
            what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}".rstrip(": ")
            end: dict[str, Any] = {}
            with suppress(dist.DistError):  # nobody is left to be told
                end = self._leave(f"process {self.process} on {_host()} stopped: {what}", [0], what)
            if self.process and end.get("what") == what and end["process"] != self.process:
                raise ToldElsewhere(what) from error  # all have found the same mistake
            raise

    def close(self) -> None:
        """From here on the processes depend on one another in every update, and nobody looks into the store."""
        self._is_open = False

    def describe(self) -> str:
        """Which processes run on which machine; process 0 knows."""
        return _named(list(self.hosts), self.hosts)

    def _say(self, topic: str, facts: Mapping[str, str]) -> None:
        assert self._store is not None
        said = json.dumps({"host": _host(), "id": os.getpid(), "facts": dict(facts)})
        found = self._store.compare_set(f"{topic}/{self.process}", "", said).decode()
        if found != said:
            self._end(
                f"process {self.process} has come twice, from {json.loads(found)['host']} and from {_host()}: every "
                "machine needs a --node-rank (accelerate's --machine_rank) of its own, counted from 0",
                [0, self.process],
            )

    def _wait(self, keys: list[str], topic: str) -> None:
        """Until all the keys are in the store, somebody has ended the run, or the time is over."""
        assert self._store is not None
        began = time.monotonic()
        is_silent = self.process > 0
        while not self._store.check(keys):
            if self._store.check(["end"]):
                self._end("", [])
            waited = time.monotonic() - began
            if waited > self._seconds:
                here = self._here(topic)
                self._end(self._missing(topic, here), here[:1])
            if waited > _PATIENCE and not is_silent:
                is_silent = True
                missing = _ranges([p for p in range(self.processes) if p not in self._here(topic)])
                print(f"waits for the processes {missing}, at most {self._seconds} s", file=sys.stderr, flush=True)
            time.sleep(_PAUSE)

    def _here(self, topic: str) -> list[int]:
        """The processes that have come."""
        assert self._store is not None
        return [process for process in range(self.processes) if self._store.check([f"{topic}/{process}"])]

    def _missing(self, topic: str, here: list[int]) -> str:
        assert self._store is not None
        hosts = {p: json.loads(self._store.get(f"{topic}/{p}"))["host"] for p in here}
        missing = [p for p in range(self.processes) if p not in here] or [0]  # all came, but process 0 does not answer
        come = "processes has not come" if len(missing) == 1 else "processes have not come"
        waited = f"waited {self._seconds} s" + ("" if topic == _START else f" for all to have the {topic}")
        text = (
            f"{waited}: {len(missing)} of {self.processes} {come}: {_ranges(missing)}; here: {_named(here, hosts)}.\n"
        )
        if topic == _START:
            text += f"Start the command of the other machines, and see that they reach {self._place}"
        else:
            text += "They were here before: see what they have printed"
        return f"{text}; or wait longer with --join-timeout SECONDS"

    def _end(self, text: str, speakers: list[int]) -> NoReturn:
        """End the run on all processes: for this reason, unless somebody has given one before."""
        end = self._leave(text, speakers)
        raise (UserError if self.process in end["speakers"] else ToldElsewhere)(end["text"])

    def _leave(self, text: str, speakers: list[int], what: str = "") -> dict[str, Any]:
        """Say why the run ends and let the others read it; returns the reason that was given first."""
        assert self._store is not None
        self._is_open = False
        mine = {"text": text, "speakers": speakers, "what": what, "process": self.process}
        end: dict[str, Any] = json.loads(self._store.compare_set("end", "", json.dumps(mine)))
        gone = self._store.add("gone", 1)
        deadline = time.monotonic() + _LAST_WORD
        while self.process == 0 and gone < self.processes and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            gone = self._store.add("gone", 0)
        return end

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except dist.DistError as error:
            self._is_open = False
            raise _once_a_machine(
                f"the meeting point {self._place} has closed: process 0 or its launcher has ended, and what they have "
                "printed says why"
            ) from error


@contextmanager
def lost_process_explained() -> Iterator[None]:
    """Say what it means when a collective operation finds another process gone.

    Raises:
        UserError: in place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in _ENDED):
            raise
        raise UserError(
            "another process of this run has ended; its own message, or the launcher's, says why. The same command "
            "goes on from the newest checkpoint"
        ) from error


def agree_by_gathering(accelerator: Accelerator, topic: str, facts: Mapping[str, str], advice: str) -> None:
    """The same for processes without a store, which XLA starts: told is only that they differ."""
    digest = hashlib.sha256(json.dumps(dict(facts)).encode()).digest()
    mine = torch.tensor([list(digest[:8])], dtype=torch.int64, device=accelerator.device)
    everyone = accelerator.gather(mine).tolist()
    odd = [process for process, theirs in enumerate(everyone) if theirs != everyone[0]]
    if odd:
        raise UserError(f"process {odd[0]} has other {topic} than process 0\n{advice}")


def open_meeting(seconds: int) -> Meeting:
    """Come to where the processes of this run meet; `seconds` is how long to wait for the others at each topic.

    Raises:
        UserError: where the environment does not say who meets where, or nobody is there in time.
    """
    place = find_place()
    if place.processes == 1:
        return Meeting(None, place, seconds)
    # torch's launcher hosts a store for its processes. Without it process 0 does, as torch itself would then;
    # multi_tenant lets torch's process group use the same server.
    is_host = place.process == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        if not is_host:  # a store that does not answer makes torch print pages
            wait_for_answer(place.host, place.port, seconds, "process 0")
        server = dist.TCPStore(
            place.host, place.port, is_master=is_host, timeout=_CALL, wait_for_workers=False, multi_tenant=is_host
        )
    except UserError as error:
        raise _once_a_machine(str(error)) from error
    except dist.DistError as error:
        reason = str(error).splitlines()[0]
        raise _once_a_machine(f"process {place.process} can't meet the others at {place}: {reason}") from error
    # A launcher that starts its processes again keeps the store: what an attempt before left there is not for us.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Meeting(dist.PrefixStore(f"accel_cls/{attempt}", server), place, seconds)


def facts_of(recipe: Recipe) -> dict[str, str]:
    """What has to be the same for all processes before they start: code, versions, and the recipe but for paths."""
    # A patch level of Python changes nothing that a training computes.
    python = ".".join(platform.python_version_tuple()[:2])
    facts = versions() | {"accel_cls code": code_digest(), "python": python}
    for key, value in leaves(recipe.model_dump(mode="json", exclude_none=True)):
        if not any(f"{key}.".startswith(".".join(path) + ".") for path in PATHS):
            facts[key] = str(value)
    return facts


def differences(facts: Sequence[Mapping[str, str]], hosts: Mapping[int, str]) -> tuple[list[str], list[int]]:
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
                parts.append(f"{_named(who, hosts)} {'has' if len(who) == 1 else 'have'} {name} {value:.80}")
        if parts:
            rest = "all others" if counts[most] > 1 else _named([values.index(most)], hosts)
            lines.append(f"  {'; '.join(parts)}, {rest} {most:.80}")
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"  and {len(lines) - _LINES} more"]
    return lines, sorted(odd - {0})


def _named(processes: Sequence[int], hosts: Mapping[int, str]) -> str:
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


def _once_a_machine(text: str) -> UserError:
    """What all processes of a machine find alike, one of them tells."""
    return UserError(text) if os.environ.get("LOCAL_RANK", "0") == "0" else ToldElsewhere(text)


def _host() -> str:
    return socket.gethostname()
