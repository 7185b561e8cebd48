"""Tensors as a safetensors file in memory."""

from __future__ import annotations

import json

import numpy as np

_NAMES = {
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}



def safetensors(state_dict, metadata=None):
    """The bytes of a .safetensors file of these tensors: an 8-byte length, a JSON header with every
    tensor's type, shape and place, and their values."""
    header, parts, at = {}, [], 0
    if metadata:
        header["__metadata__"] = {str(key): str(value) for key, value in metadata.items()}
    for name, tensor in state_dict.items():
        dtype, shape, data = _encoded(name, tensor)
        header[str(name)] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    # The values begin at a multiple of 8.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def _encoded(name, tensor):
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().contiguous()
        if str(tensor.dtype) == "torch.bfloat16":
            import torch

            return "BF16", list(tensor.shape), tensor.view(torch.int16).numpy().tobytes()
        tensor = tensor.numpy()
    array = np.asarray(tensor)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.name not in _NAMES:
        raise ValueError(f"tensor {name} is {array.dtype}, which no network here has")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return _NAMES[array.dtype.name], list(array.shape), little.tobytes()
