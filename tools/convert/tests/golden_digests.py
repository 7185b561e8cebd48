"""Digests of the goldens' tensors, computed by Python's own pickle and zipfile modules.

Usage: golden_digests.py SHARED > golden_digests.json

The tensors of each SHARED/goldens/*/checkpoint.pth and SHARED/models/*.pth are gathered as dense
little-endian bytes, in the order of the file. The digest is the CRC-32 of, for each tensor,
    name '\\n' dtype '\\n' shape joined by ',' '\\n' bytes
Needs no PyTorch, and shares no code with the reader it checks.
"""

import collections, glob, hashlib, io, itertools, json, os, pickle, struct, sys, zipfile, zlib

SIZES = {"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1,
         "Byte": 1, "Bool": 1}
NAMES = {"Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
         "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool"}
CONTAINERS = ["params_ema", "g_ema", "params", "g", "state_dict", "model", "net_g"]

Tensor = collections.namedtuple("Tensor", "storage offset shape strides")
Storage = collections.namedtuple("Storage", "kind key")


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: Tensor(storage, offset, shape, strides)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name.endswith("Storage"):
            return name.removesuffix("Storage")
        raise ValueError(f"{module}.{name}")

    def persistent_load(self, pid):
        self.__dict__.setdefault("numel", {})[pid[2]] = (pid[1], pid[4])
        return Storage(pid[1], pid[2])


def load(path):
    data = open(path, "rb").read()
    if data[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(data))
        root = next(n for n in archive.namelist() if n.endswith("data.pkl")).split("/")[0]
        top = Reader(io.BytesIO(archive.read(f"{root}/data.pkl"))).load()
        return top, lambda key: archive.read(f"{root}/data/{key}")
    stream = io.BytesIO(data)
    for _ in range(3):
        pickle.load(stream)
    reader = Reader(stream)
    top, storages = reader.load(), {}
    for key in pickle.load(stream):
        (count,) = struct.unpack("<q", stream.read(8))
        kind, numel = reader.numel[key]
        assert count == numel
        storages[key] = stream.read(count * SIZES[kind])
    return top, storages.__getitem__


def dense(tensor, storage):
    size, data = SIZES[tensor.storage.kind], storage(tensor.storage.key)
    at = (tensor.offset + sum(i * s for i, s in zip(index, tensor.strides))
          for index in itertools.product(*map(range, tensor.shape)))
    return b"".join(data[i * size:(i + 1) * size] for i in at)


def digest(path):
    top, storage = load(path)
    name = next((c for c in CONTAINERS if isinstance(top.get(c), dict)), None)
    crc, count = 0, 0
    for key, tensor in (top[name] if name else top).items():
        if isinstance(tensor, Tensor):
            head = [key.removeprefix("module."), NAMES[tensor.storage.kind], ",".join(map(str, tensor.shape)), ""]
            crc = zlib.crc32(dense(tensor, storage), zlib.crc32("\n".join(head).encode(), crc))
            count += 1
    sha256 = hashlib.sha256(open(path, "rb").read()).hexdigest()
    return {"container": name, "tensors": count, "crc32": f"{crc:08x}", "sha256": sha256}


shared = sys.argv[1]
paths = sorted(glob.glob(f"{shared}/goldens/*/checkpoint.pth") + glob.glob(f"{shared}/models/*.pth"))
print(json.dumps({os.path.relpath(p, shared): digest(p) for p in paths}, indent=1))
