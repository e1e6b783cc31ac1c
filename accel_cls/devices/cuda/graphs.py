"""Functions of tensors that keep their place, recorded as CUDA graphs.

A graph is launched at once: what takes hundreds of kernels, each launched by the host, then takes as long as the
device needs for it (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Call = Callable[[], torch.Tensor]

# Before a capture: libraries choose algorithms and take memory in their first calls.
_WARM_UPS = 3


class Recorder:
    """Records functions as graphs, which share their memory; or leaves them as they are.

    Args:
        device: where they run.
        captures: whether they are recorded.
    """

    def __init__(self, device: torch.device, captures: bool):
        assert device.type == "cuda" or not captures
        self._device = device
        self._pool: Any = None
        self.captures = captures
        self.failure: str | None = None  # why a function could not be recorded: from then on none is

    def record(self, function: Call, warm_up: Callable[[], object]) -> Call:
        """What does what a function does, each time it is called.

        Args:
            function: reads and writes tensors that keep their place, and waits for no device.
            warm_up: as the function, without what can't be done more than once.

        Returns:
            A call whose result is overwritten by the next one of a function recorded here.
        """
        if not self.captures:
            return function
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                warm_up()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        try:
            # Only this thread's calls count: a checkpoint may be written beside.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                output = function()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # The device goes on as before: what was not captured has not run.
            self.captures, self.failure = False, str(error).strip().splitlines()[0]
            return function
        # A capture begins by writing the generator's seed for graphs into its place, on a stream of its own. On a busy
        # device that came after the first replay had written its seed there: other draws than the update's.
        torch.cuda.synchronize(self._device)
        self._pool = graph.pool()

        def replay() -> torch.Tensor:
            graph.replay()
            return output

        return replay
