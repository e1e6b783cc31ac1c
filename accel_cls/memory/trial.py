"""Try a micro-batch: a forward and a backward pass on this process, as in the midst of a training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache
from transformers import PreTrainedModel

from accel_cls.batching.batches import Batches
from accel_cls.batching.layout import MicroBatch
from accel_cls.devices.cpu.allocator import trim_memory
from accel_cls.memory.activations import loss_for_memory, saved_tensor_bytes
from accel_cls.memory.available import DeviceMemory
from accel_cls.memory.errors import is_out_of_memory
from accel_cls.memory.forecast import training_memory
from accel_cls.memory.setup import ParallelSetup

_RESERVE = 0.05  # of a device's free memory, for the allocator's fragmentation and what libraries take later


@dataclass(frozen=True)
class Trial:
    """What a trial works with."""

    accelerator: Accelerator
    setup: ParallelSetup
    width: int  # tokens of each row
    model: PreTrainedModel  # not prepared
    batches: Batches  # the training examples
    copies: int = 0  # of the trained weights, to average them

    def fits(self, rows: int, available: DeviceMemory) -> bool:
        """Whether a forward and a backward pass of so many rows end without running out of memory.

        Gradients are there, and ballast stands for what is not: AdamW's moments, DDP's buckets, averaged weights.
        Afterwards the model is as it was before, but on the device, where training puts it anyway.
        """
        model = self.model
        was_training = model.training
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        memory = training_memory(model, self.setup, (rows, self.width), None, self.copies)
        ballast = memory.optimizer + memory.communication + memory.averages
        if self.setup.device.type != "cpu":  # there, the forecast has a reserve
            ballast += int(_RESERVE * (available.free or 0))
        try:
            self._run_pass(rows, ballast)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        else:
            return True
        finally:  # the error, its frames and their tensors are gone here
            model.zero_grad(set_to_none=True)
            model.train(was_training)
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
            clear_device_cache(garbage_collection=True)
            if self.setup.device.type == "cpu":
                # Under `ulimit -v` malloc would keep what is freed, and oneDNN, which maps the code of its kernels by
                # itself, get nothing for smaller sizes either: of 140 MB for a BERT 12×32 even one row did not fit.
                trim_memory()

    def saved_bytes(self, rows: int) -> int:
        """What a forward pass of so many rows saves, in fp32, measured on the CPU: before any trial on a device."""
        on_cpu = replace(self.batches, device=torch.device("cpu"))
        return saved_tensor_bytes(self.model, on_cpu.make(self._widest(rows)).inputs)

    def _run_pass(self, rows: int, ballast: int) -> None:
        device = self.setup.device
        model = self.model.to(device)
        model.train()
        held = torch.empty(ballast, dtype=torch.uint8, device=device)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
        batch = self.batches.make(self._widest(rows))
        with self.accelerator.autocast():
            logits = model(**batch.inputs).logits
        loss_for_memory(logits).backward()
        if device.type != "cpu":
            torch.accelerator.synchronize()  # what is still in work may yet fail
        del held

    def _widest(self, rows: int) -> MicroBatch:
        """The widest training example, so many times."""
        longest = int(self.batches.encoded.lengths.argmax())
        return MicroBatch((longest,) * rows, self.width)
