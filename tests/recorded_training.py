"""`accel_cls.train` whose static updates are recorded operator by operator, and played again.

What a CUDA graph keeps of a function is this and no more: operators on tensors that keep their place. Whatever else
the function would do in each call, look at a number or make a tensor of one, is done once, while it is recorded.
"""

from __future__ import annotations

import gc
import runpy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from accel_cls.devices.cuda.graphs import Call, Recorder
from accel_cls.training import static_updates

SAID = "recorded operators: "


class Tape(TorchDispatchMode):
    """Records operators; `play` does them again, in place of whose results come new ones."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __len__(self) -> int:
        return len(self._steps)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self._steps.append((function, args, kwargs or {}, result))  # held, so that no two tensors have one id
        return result

    @torch.no_grad()
    def play(self, output: torch.Tensor) -> torch.Tensor:
        """What has come in the place of `output`."""
        now: dict[int, torch.Tensor] = {}

        def current(tensor: torch.Tensor) -> torch.Tensor:
            return now.get(id(tensor), tensor)

        for function, args, kwargs, old in self._steps:
            given = {id(tensor) for tensor in _tensors((args, kwargs))}
            args, kwargs = tree_map_only(torch.Tensor, current, (args, kwargs))
            for before, after in zip(_tensors(old), _tensors(function(*args, **kwargs)), strict=True):
                if id(before) not in given:  # else changed in its place
                    now[id(before)] = after
        return current(output)


class TapeRecorder(Recorder):
    """Records on a CPU. Operators run meanwhile, which a capture leaves out: what they have changed is put back."""

    def __init__(self, device: torch.device, captures: bool):
        super().__init__(device, captures=False)
        self.captures = True

    def record(self, function: Call, warm_up: Callable[[], object]) -> Call:
        """See `Recorder`."""
        warm_up()
        warm_up()
        changed = [*_changed_by_updates()]
        before = [tensor.detach().clone() for tensor in changed]
        tape = Tape()
        with tape:
            output = function()
        for tensor, old in zip(changed, before, strict=True):
            tensor.detach().copy_(old)
        print(f"{SAID}{len(tape)}")
        return lambda: tape.play(output)


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _changed_by_updates() -> Iterable[torch.Tensor]:
    for found in gc.get_objects():
        if type(found) is torch.optim.AdamW:
            for parameter, state in found.state.items():
                yield from (parameter, *state.values())
        elif isinstance(found, static_updates._FlatGradients):
            yield found.flat


if __name__ == "__main__":
    static_updates.Recorder = TapeRecorder  # type: ignore[misc]
    runpy.run_module("accel_cls.train", run_name="__main__")
