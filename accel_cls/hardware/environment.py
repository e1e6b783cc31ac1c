"""What is left in the environment by other launchers and by `accelerate config`: dropped, or refused by its name.

accelerate reads these variables by itself. It would wait for processes that nobody has started, compute in another
precision than it says, or end in a traceback.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from accel_cls.errors import UserError
from accel_cls.hardware.launcher import count_of, read_distributed_env
from accel_cls.startup import FALSE, TRUE

# How many processes MPI's launchers say that there are. accelerate goes by them on a CPU, without a meeting point.
_MPI_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_MEETING = ("RANK", "MASTER_ADDR", "MASTER_PORT")
_NUMBERS = ("WORLD_SIZE", "RANK", "LOCAL_RANK", *_MPI_SIZES)
# A recipe says all of a training, so what accelerate would change in it is off: the value that does nothing, and why.
_OFF = {
    "ACCELERATE_DYNAMO_BACKEND": ("no", "models are not compiled here"),
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": (
        "1",
        "the recipe's train.batch_size and train.micro_batch_tokens decide how an update is divided",
    ),
    "ACCELERATE_TORCH_DEVICE": ("", "the profile says what runs; CUDA_VISIBLE_DEVICES chooses among GPUs"),
    "ACCELERATE_USE_MEGATRON_LM": ("false", "Megatron-LM is not supported"),
    "ACCELERATE_USE_PARALLELISM_CONFIG": ("false", "tensor, context and sequence parallelism are not supported"),
    "ACCELERATE_USE_SAGEMAKER": ("false", "SageMaker's own data parallelism is not supported"),
}
_NOTHING = {"no": ("no",), "1": ("1", "auto"), "": (), "false": FALSE}
_PRECISIONS = ("no", "fp16", "bf16", "fp8")
_FP8_PACKAGES = ("transformer_engine", "msamp", "torchao")
_SWITCHES = ("ACCELERATE_USE_CPU", "ACCELERATE_DEBUG_MODE", "ACCELERATE_CPU_AFFINITY", "FORK_LAUNCHED")
_SHARDING = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")  # which accelerate takes for on as "true" only
_ADVICE = "Unset it; where accelerate launch sets it, leave it out of its flags and its config file"


def settle_environment() -> list[str]:
    """Check what accelerate will read, and drop what means nothing to a process that is alone.

    Returns:
        Notes on what was dropped.

    Raises:
        UserError: where a variable asks for what does not run here, or has a value that accelerate can't read.
    """
    for name in (*_NUMBERS, *_OFF, *_SWITCHES, *_SHARDING, "ACCELERATE_MIXED_PRECISION"):
        if not os.environ.get(name, "set").strip():
            del os.environ[name]  # to a shell the same as unset, to accelerate no number
    notes = _alone() if read_distributed_env().world_size == 1 else []
    for name, (usual, why) in _OFF.items():
        value = os.environ.get(name)
        if value is not None and value.lower() not in _NOTHING[usual]:
            expected = usual or "nothing"
            raise UserError(f"the environment variable {name} is {value!r}; expected {expected}: {why}. {_ADVICE}")
    for name in _SWITCHES + _SHARDING:
        value = os.environ.get(name, "false")
        if value.lower() not in (*(TRUE if name in _SWITCHES else ("true",)), *FALSE):
            raise UserError(f"the environment variable {name} is {value!r}; expected true or false, or unset it")
    _settle_precision()
    return notes


def _alone() -> list[str]:
    """Let a process without others be one, also where MPI's launchers or a leftover say something else."""
    alone = "WORLD_SIZE is not set, or 1"
    together = "Start all of them with `accel-cls launch`, accelerate launch or torchrun"
    for name in _MPI_SIZES:
        if (size := count_of(name, 1)) > 1:
            raise UserError(
                f"{name} is {size}, as MPI's launchers set it, but {alone}: this process can't know where the others "
                f"are. {together}, or unset {name} to train alone"
            )
    rank = os.environ.get("LOCAL_RANK", "-1")
    if rank == "-1" or all(name in os.environ for name in _MEETING):
        return []
    if rank != "0":
        raise UserError(
            f"LOCAL_RANK is {rank!r}, but {alone}: this process can't know where the others are. {together}, or unset "
            "LOCAL_RANK to train alone"
        )
    del os.environ["LOCAL_RANK"]
    return [f"LOCAL_RANK, which is 0 in the environment, is not used: {alone}, so this process trains alone"]


def _settle_precision() -> None:
    """accelerate compares the word as it is written, and computes in fp32 where it does not know it."""
    found = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    precision = found.lower()
    if precision not in _PRECISIONS:
        expected = f"{', '.join(_PRECISIONS[:-1])} or {_PRECISIONS[-1]}"
        raise UserError(f"the environment variable ACCELERATE_MIXED_PRECISION is {found!r}; expected {expected}")
    if precision == "fp8" and not any(find_spec(name) for name in _FP8_PACKAGES):
        raise UserError(
            "precision fp8 was asked for (ACCELERATE_MIXED_PRECISION), which takes one of "
            f"{', '.join(_FP8_PACKAGES)}; none is installed here. Take bf16, or install one"
        )
    if found != precision:
        os.environ["ACCELERATE_MIXED_PRECISION"] = precision
