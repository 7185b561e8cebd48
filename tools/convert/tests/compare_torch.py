"""Compares converted checkpoints with what PyTorch loads, bit for bit.

Usage: compare_torch.py CHECKPOINT CONTAINER CONVERTED [CHECKPOINT CONTAINER CONVERTED ...]
CONTAINER is the entry that holds the weights, empty for the top level.
"""

import argparse, json, struct, sys
import torch

NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
         "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"}


def converted(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    del header["__metadata__"]
    found = {}
    for name, info in header.items():
        start, end = info["data_offsets"]
        found[name] = (info["dtype"], info["shape"], data[8 + length + start:8 + length + end])
    return found


def loaded(path, container):
    # The training options of some; everything else must be plain data.
    with torch.serialization.safe_globals([argparse.Namespace]):
        top = torch.load(path, map_location="cpu", weights_only=True)
    found = {}
    for name, tensor in (top[container] if container else top).items():
        if isinstance(tensor, torch.Tensor):
            tensor = tensor.detach()
            data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            dtype = NAMES[str(tensor.dtype).removeprefix("torch.")]
            found[name.removeprefix("module.")] = (dtype, list(tensor.shape), data)
    return found


count = 0
arguments = sys.argv[1:]
for checkpoint, container, output in zip(*[iter(arguments)] * 3, strict=True):
    expected, found = loaded(checkpoint, container), converted(output)
    assert expected.keys() == found.keys(), (checkpoint, expected.keys() ^ found.keys())
    for name in expected:
        assert expected[name] == found[name], (checkpoint, name)
    count += len(expected)
print(f"PyTorch {torch.__version__} agrees on {count} tensors of {len(arguments) // 3} checkpoints")
