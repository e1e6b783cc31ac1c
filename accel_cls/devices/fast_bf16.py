"""Where products in bf16 are faster than in fp32: asked of the hardware, since launchers take fp32 by default."""

from __future__ import annotations

from collections.abc import Mapping

import torch

# Below it casts eat up what products gain. Texts a second in bf16 and in fp32 on two cores with avx512_bf16: a BERT of
# hidden size 128 1,338 and 1,173, one of 384 61 and 40, one of 768 18 and 11 (docs/speed.md).
_WIDE = 256
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")


def fast_bf16(device: str, hidden_size: int | None) -> str | None:
    """What makes an encoder faster in bf16 than in fp32; None where nothing does, as far as is known.

    Args:
        device: torch's word for it: cpu, cuda ...
        hidden_size: numbers of a token in the encoder; None where it has none.
    """
    if hidden_size is None:
        return None
    if device == "cuda":
        has_it = torch.cuda.is_bf16_supported(including_emulation=False)
        return f"this {torch.cuda.get_device_name()}" if has_it else None
    if device != "cpu" or hidden_size < _WIDE:
        return None
    known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch has it not
    found = next((name for name in _INSTRUCTIONS if known.get(name)), None)
    return None if found is None else f"this CPU, by its {found},"
