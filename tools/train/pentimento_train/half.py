"""Where bf16 is faster than f32."""

from __future__ import annotations

import torch


def multiplies_bf16(device: str) -> bool:
    """Whether a device has instructions for it: GPUs do; a CPU without them takes several times f32's
    time. Of CPUs that PyTorch does not tell about, as of old versions of it, the best is believed."""
    if device != "cpu":
        return True
    known = getattr(torch.cpu, "get_capabilities", dict)()
    names = [name for name in ("avx512_bf16", "amx_bf16") if name in known]
    return not names or any(known[name] for name in names)
