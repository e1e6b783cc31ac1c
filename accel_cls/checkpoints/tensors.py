"""Weights and optimizer as named tensors, and back, where each process has them whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from accel_cls.devices.prepare import inner_optimizer

Tensors = dict[str, torch.Tensor]

_DTYPES = {  # as safetensors calls them
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def model_tensors(model: torch.nn.Module) -> Tensors:
    """The weights by name; of names that share one tensor, as tied embeddings do, the first."""
    seen: set[tuple[int, torch.Size]] = set()
    tensors: Tensors = {}
    for name, tensor in model.state_dict().items():
        key = (tensor.data_ptr(), tensor.shape)
        if tensor.numel() and key in seen:
            continue
        seen.add(key)
        tensors[name] = tensor
    return tensors


def load_model_tensors(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy weights into a model that has just these names."""
    expected = model_tensors(model).keys()
    assert expected == tensors.keys(), sorted(expected ^ tensors.keys())[:5]
    model.load_state_dict(tensors, strict=False)  # not strict, for the names of tied weights are left out


def optimizer_tensors(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimizer's state, named by what and whose it is: "exp_avg/bert.embeddings.word_embeddings.weight"."""
    state = inner_optimizer(optimizer).state
    return {
        f"{what}/{name}": torch.as_tensor(value)
        for name, parameter in model.named_parameters()
        for what, value in state.get(parameter, {}).items()
    }


def load_optimizer_tensors(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Give the optimizer its state again; rates and decays are the recipe's, and not part of it."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    by_name: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        what, _, name = key.partition("/")
        by_name.setdefault(name, {})[what] = value
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {at: by_name[names[parameter]] for at, parameter in enumerate(parameters) if names[parameter] in by_name}
    inner = inner_optimizer(optimizer)
    inner.load_state_dict({"state": state, "param_groups": inner.state_dict()["param_groups"]})


def safetensors_header(tensors: Tensors) -> tuple[bytes, list[str]]:
    """How a safetensors file of these tensors begins, and the names in the order in which their bytes follow.

    Written by ourselves, since safetensors 0.8.0 takes all tensors of a file at once, and a checkpoint's are let go
    one by one. The format: eight bytes of length, a JSON header, the data, each tensor's in order of its indices.
    """
    # The widest type first, as safetensors has them: each value lies at a multiple of its own size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        tensor, begin = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, names


def tensor_places(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """What a safetensors file says of each tensor (`dtype`, `shape`, `data_offsets`), and where its data begin.

    Read by ourselves, since bytes are all that is compared, and reading a tensor by safetensors 0.8.0 leaks its shape.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length
