"""Makes checkpoints that are refused, and each saved again as the error advises, for `advised.rs`:
`python make_advised.py FOLDER`. Writes pairs `NAME.bad` and `NAME.good`; both hold the tensors
`weight` [2, 3] of 1 to 6 where they hold any.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from pathlib import Path

import numpy
import torch
from torch import nn

WEIGHT = torch.arange(1.0, 7.0).reshape(2, 3)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(WEIGHT.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def main() -> None:
    folder = Path(sys.argv[1])
    state = {"weight": WEIGHT}
    net = Net()

    def save(name: str, bad: object, good: object) -> None:
        torch.save(bad, folder / f"{name}.bad")
        torch.save(good, folder / f"{name}.good")

    # "is a TorchScript archive: save `model.state_dict()` with torch.save"
    torch.jit.script(net).save(str(folder / "script.bad"))
    torch.save(torch.jit.load(str(folder / "script.bad")).state_dict(), folder / "script.good")
    # "the checkpoint holds …, no dictionary of tensors: save `model.state_dict()`"
    save("module", net, net.state_dict())
    save("list", [WEIGHT], state)
    # "It holds a sparse tensor: save `tensor.to_dense()` in its place"
    sparse = WEIGHT.to_sparse()
    save("sparse", {"weight": sparse}, {"weight": sparse.to_dense()})
    # "It holds a quantised tensor: save `tensor.dequantize()` in its place"
    steps = torch.quantize_per_tensor(WEIGHT, 1.0, 0, torch.qint8)
    save("quantised", {"weight": steps}, {"weight": steps.dequantize()})
    # "it holds arrays of NumPy: save them as tensors with torch.save"
    with (folder / "numpy.bad").open("wb") as stream:
        numpy.savez(stream, weight=WEIGHT.numpy())
    arrays = numpy.load(folder / "numpy.bad")
    torch.save({"weight": torch.from_numpy(arrays["weight"])}, folder / "numpy.good")
    # "it is a program of torch.export: save `model.state_dict()` with torch.save"
    torch.export.save(torch.export.export(net, (WEIGHT,)), str(folder / "export.pt2"))
    (folder / "export.pt2").rename(folder / "export.bad")
    torch.save(net.state_dict(), folder / "export.good")
    # "has the type …, which is not read: save it again as `tensor.float()`"
    whole = WEIGHT.to(torch.uint16)
    save("unsigned", {"weight": whole}, {"weight": whole.float()})
    # "a plain Python pickle: save the model again with torch.save"
    numbers = {"weight": WEIGHT.tolist()}
    (folder / "pickle.bad").write_bytes(pickle.dumps(numbers, 2))
    torch.save({"weight": torch.tensor(numbers["weight"])}, folder / "pickle.good")
    # "the pickle uses the operation …: save it again with torch.save and protocol 2"
    stream = io.BytesIO()
    torch.save(state, stream, pickle_protocol=2)
    with zipfile.ZipFile(stream) as sound, zipfile.ZipFile(folder / "opcode.bad", "w") as changed:
        for entry in sound.namelist():
            data = sound.read(entry)
            if entry.endswith("data.pkl"):
                # A buffer that lies outside the pickle, and what takes it away again.
                data = data[:2] + b"\x97" + b"0" + data[2:]
            changed.writestr(entry, data)
    torch.save(state, folder / "opcode.good", pickle_protocol=2)


if __name__ == "__main__":
    main()
