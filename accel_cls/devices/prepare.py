"""What is done to a model for the hardware: wrapped, sharded, given to XLA, put together again."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import set_seed
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from accel_cls.devices.cpu.modules import quicken


def prepare(
    accelerator: Accelerator, model: torch.nn.Module, optimizer: torch.optim.Optimizer, max_grad_norm: float
) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Wrap model and optimizer for the hardware. Loaders and schedulers are the plan's, and not prepared."""
    plugin = accelerator.state.deepspeed_plugin
    if plugin is not None:
        # DeepSpeed clips inside its own step. Its batch size only labels its logs: the plan decides.
        plugin.deepspeed_config["gradient_clipping"] = max_grad_norm
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = 1
    if accelerator.is_fsdp2 and accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap is None:
        accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap = _layers_to_wrap(model)
    if is_xla(accelerator):
        _attend_without_a_look(model)
    elif accelerator.device.type == "cpu":
        quicken(model, optimizer, whole=has_whole_weights(accelerator))
    model, optimizer = accelerator.prepare(model, optimizer)
    if is_xla(accelerator):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
    return model, optimizer


def is_xla(accelerator: Accelerator) -> bool:
    """Whether programs are compiled for each shape, as on a TPU."""
    return accelerator.device.type == "xla"


def has_whole_weights(accelerator: Accelerator) -> bool:
    """Whether each process has all weights and gradients, as tensors of its own: no FSDP, no DeepSpeed, no XLA."""
    return accelerator.distributed_type.value in ("NO", "MULTI_CPU", "MULTI_GPU")


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed Python's, numpy's and torch's generators, where a model on this device may draw from them."""
    if device.type != "cpu":
        set_seed(seed)
        return
    # As set_seed does, less what a GPU draws from: until there is one, torch notes the traceback of each such call,
    # which took 0.57 of the 23 ms of an update of a BERT 2×128.
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


def inner_optimizer(optimizer: torch.optim.Optimizer) -> Any:
    """The optimizer itself, inside what accelerate has made of it."""
    return optimizer.optimizer if isinstance(optimizer, AcceleratedOptimizer) else optimizer


def mark_step(accelerator: Accelerator) -> None:
    """Let XLA run what it has recorded: one program for each shape, instead of one for all that an update does."""
    if is_xla(accelerator):
        import torch_xla

        torch_xla.sync()


def whole_weights(accelerator: Accelerator, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a prepared model by name, put together where they are sharded, as safetensors can save them.

    Called by all processes; under FSDP only the main process gets them.
    """
    state = accelerator.get_state_dict(model)
    # XLA's tensors have no memory that can be written to a file.
    return {name: tensor.cpu() for name, tensor in state.items()} if is_xla(accelerator) else state


def _attend_without_a_look(model: torch.nn.Module) -> None:
    """Keep transformers from looking at each attention mask, to leave out one that masks nothing.

    On XLA that look is a wait for the device in every pass, and makes a second program for each shape.
    """

    def mask(*shape: Any, **options: Any) -> Any:
        return sdpa_mask(*shape, **(options | {"allow_is_bidirectional_skip": False}))

    AttentionInterface.register("sdpa_always_masked", sdpa_attention_forward)
    AttentionMaskInterface.register("sdpa_always_masked", mask)
    model.set_attn_implementation("sdpa_always_masked")  # type: ignore[operator]


def _layers_to_wrap(model: torch.nn.Module) -> list[str]:
    """The classes of modules that FSDP shards one by one: those a model names, but none with its embeddings.

    accelerate 1.15 shards the input embeddings by themselves, and fails where a module around them, such as
    BertEmbeddings, has been sharded before.
    """
    embeddings = model.get_input_embeddings()  # type: ignore[operator]
    named = set(getattr(model, "_no_split_modules", None) or ())
    found = {type(m).__name__: m for m in model.modules() if type(m).__name__ in named}
    return sorted(name for name, module in found.items() if all(m is not embeddings for m in module.modules()))
