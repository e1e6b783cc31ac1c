"""What is done to a model for the hardware: wrapped, sharded, given to XLA, put together again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedType, broadcast, set_seed
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from accel_cls.devices.cpu.modules import use_fast_modules
from accel_cls.errors import UserError

# What divides weights among processes, or keeps them where only it can reach them. All else is DDP.
_SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM, DistributedType.XLA)


def prepare(
    accelerator: Accelerator,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    max_grad_norm: float,
    kernels: Literal["fast", "plain"],
    sums_gradients: bool = True,
) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Wrap model and optimizer for the hardware. Loaders and schedulers are the plan's, and not prepared.

    Args:
        accelerator: the run's.
        model: the classifier.
        optimizer: of its weights.
        max_grad_norm: for DeepSpeed, which clips inside its own step.
        kernels: "fast" replaces torch's modules where others are faster, "plain" keeps them.
        sums_gradients: whether what processes with whole weights are wrapped in sums their gradients; else that is
            left to `sum_over_processes`.
    """
    plugin = accelerator.state.deepspeed_plugin
    if plugin is not None:
        # DeepSpeed clips inside its own step. Its batch size only labels its logs: the plan decides.
        plugin.deepspeed_config["gradient_clipping"] = max_grad_norm
        plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = 1
    if accelerator.is_fsdp2 and accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap is None:
        accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap = _layers_to_wrap(model)
    if is_xla(accelerator):
        _always_apply_mask(model)
    elif accelerator.device.type == "cpu" and kernels == "fast":
        use_fast_modules(model, optimizer, whole=has_whole_weights(accelerator))
    if sums_gradients:
        model, optimizer = accelerator.prepare(model, optimizer)
    else:
        model = accelerator.prepare_model(model, evaluation_mode=True)  # as it is, but for autocast
        optimizer = accelerator.prepare_optimizer(optimizer)
        if accelerator.num_processes > 1:  # as DistributedDataParallel begins
            broadcast([tensor.detach() for tensor in (*model.parameters(), *model.buffers())])
    if is_xla(accelerator):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
    return model, optimizer


def sum_over_processes(accelerator: Accelerator, tensors: Sequence[torch.Tensor]) -> None:
    """Replace tensors by their sums over all processes, in place. Called by all of them."""
    if accelerator.num_processes > 1:
        for tensor in tensors:  # accelerate's own reduce makes a copy
            torch.distributed.all_reduce(tensor)


def scaler_state(accelerator: Accelerator) -> dict[str, Any] | None:
    """What fp16's gradient scaler has found; None without one."""
    return None if accelerator.scaler is None else accelerator.scaler.state_dict()


def let_go(accelerator: Accelerator, scaler: dict[str, Any] | None) -> None:
    """Forget the models and optimizers that were prepared, and free their memory: another training is to follow.

    Args:
        scaler: what the gradient scaler had found before; see `scaler_state`.
    """
    accelerator.free_memory()
    if accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(scaler)


def is_xla(accelerator: Accelerator) -> bool:
    """Whether programs are compiled for each shape, as on a TPU."""
    return accelerator.device.type == "xla"


def has_whole_weights(accelerator: Accelerator) -> bool:
    """Whether each process has all weights and gradients, as tensors of its own: one process, or DDP on any device."""
    return accelerator.distributed_type not in _SHARDED


def require_whole_weights(accelerator: Accelerator, place: str) -> None:
    """Raise UserError where weights are divided among processes, for a key of the recipe that needs them whole."""
    if not has_whole_weights(accelerator):
        raise UserError(
            f"{place}: works where each process has all weights, not with {accelerator.distributed_type.value}. "
            "Leave it out, or take a hardware profile without that"
        )


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


def zero_gradients(accelerator: Accelerator, optimizer: torch.optim.Optimizer) -> None:
    """Clear the gradients. On XLA they become zeros: a first gradient and one added to it would be two programs."""
    optimizer.zero_grad(set_to_none=not is_xla(accelerator))


def mark_step(accelerator: Accelerator) -> None:
    """Let XLA run what it has recorded: one program for each shape, instead of one for all that an update does."""
    if is_xla(accelerator):
        import torch_xla

        torch_xla.sync()


def whole_weights(accelerator: Accelerator, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a prepared model by name, put together where they are sharded, as safetensors can save them.

    Called by all processes; under FSDP only rank 0 gets them.
    """
    state = accelerator.get_state_dict(model)
    # XLA's tensors have no memory that can be written to a file.
    return {name: tensor.cpu() for name, tensor in state.items()} if is_xla(accelerator) else state


def _always_apply_mask(model: torch.nn.Module) -> None:
    """Let transformers apply every attention mask, instead of leaving out one that masks nothing.

    To find that out, XLA has to wait for the device in every pass, and makes a second program for each shape.
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
