"""An actor of the pool: one restorer on one device, and the pictures that it gets."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import ray

import pentimento

# Networks that a restorer takes as the bytes of a file.
NETWORKS = ("model", "detector", "background", "parser")


def make_restorer(weights, options, device=None, threads=None):
    """A restorer with what a driver has put in the object store. ``weights`` names an object, or
    "default" or nothing, for each of :data:`NETWORKS`."""
    if threads:
        # Read once, when the first network is made.
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    # One copy a node: what comes from the store is the store's own memory.
    networks = {
        name: ray.get(source).tobytes() if isinstance(source, ray.ObjectRef) else source
        for name, source in weights.items()
    }
    device = own_device() if device is None else device
    return pentimento.Restorer(device=device, **networks, **options)


def own_device():
    """What Ray gave this actor: the number of its first GPU, or the CPU."""
    ids = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    if not ids:
        return "cpu"
    known = pentimento.devices()
    gpus = [gpu for gpu in known if gpu["kind"] not in ("software", "cpu")]
    gpus = [gpu for gpu in gpus if gpu["backend"] == gpus[0]["backend"]]
    position = int(ids[0]) if ids[0].isdigit() else -1
    if not 0 <= position < len(gpus):
        names = ", ".join(gpu["name"] for gpu in known)
        raise RuntimeError(
            f"Ray gave this process the GPU {ids[0]}, but pentimento finds {len(gpus)} of them "
            f"({names}); install the Vulkan driver, or name a device with device="
        )
    return str(gpus[position]["index"])


def put_weights(networks):
    """Puts the bytes of each network in the object store. Returns what stands for them, and their
    digests."""
    weights, digests = {}, {}
    for name, source in networks.items():
        if isinstance(source, (bytes, bytearray, memoryview)):
            weights[name] = ray.put(np.frombuffer(source, np.uint8))
            digests[name] = hashlib.sha256(source).hexdigest()
        else:
            weights[name] = digests[name] = source
    return weights, digests


class Worker:
    """Restores the pictures of a table's rows, one after the other. The next file is read, and the
    last result written, while the device works."""

    def __init__(self, ledger, sources, destination, options, writing, make):
        self._ledger, self._sources, self._destination = ledger, sources, destination
        self._options, self._writing, self._make = options, writing, make
        self._restorer = make()
        self._node = ray.get_runtime_context().get_node_id()
        self._reader, self._writer = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    def __call__(self, table):
        pictures, written = table.to_pylist(), []
        read = self._read(pictures, 0)
        for i, picture in enumerate(pictures):
            data, read = read, self._read(pictures, i + 1)
            tries = ray.get(self._ledger.begin.remote(picture))
            if tries is None:
                continue
            # After a process has ended, nobody knows by whose fault: this picture is alone now.
            alone = tries > 1
            while len(written) > (0 if alone else 1):
                written.pop(0).result()
            row, result = self._restored(picture, data, tries)
            written.append(self._writer.submit(self._written, row, result))
            if alone:
                written.pop(0).result()
        for last in written:
            last.result()
        return pa.table({"input": [picture["input"] for picture in pictures]})

    def _read(self, pictures, i):
        if i >= len(pictures):
            return None
        place = self._sources[pictures[i]["source"]]
        return self._reader.submit(place.read, pictures[i]["path"])

    def _restored(self, picture, data, tries):
        start = time.monotonic()
        row = {**picture, "options": self._options, "attempts": tries, "node": self._node}
        row["device"] = getattr(self._restorer, "device", None)
        try:
            data = data.result()
        except Exception as error:
            return {**row, "status": "unreadable", "error": str(error)}, None
        row["input_bytes"] = len(data)
        row["input_sha256"] = hashlib.sha256(data).hexdigest()
        try:
            result, about = self._file(data, picture)
        except pentimento.DeviceLost:
            # Not the picture's fault: Ray starts another process.
            os._exit(70)
        except (ValueError, pentimento.PentimentoError, MemoryError) as error:
            return {**row, "status": "failed", "error": str(error)}, None
        except BaseException as error:
            # A panic of the native part is none of Exception.
            if type(error).__name__ != "PanicException":
                raise
            self._restorer = self._make()
            return {**row, "status": "failed", "error": f"{error}; please report it"}, None
        row.update(about, faces=self._restorer.faces if about.get("is_photo") else None)
        row["seconds"] = time.monotonic() - start
        return {**row, "status": "restored"}, result

    def _file(self, data, picture):
        names = picture["input"], picture["output"]
        return self._restorer.restore_file(data, *names, **self._writing)

    def _written(self, row, result):
        if result is not None:
            row["output_bytes"] = len(result)
            row["output_sha256"] = hashlib.sha256(result).hexdigest()
            try:
                self._destination.write(self._destination.join(row["output"]), result)
            except Exception as error:
                row.update(status="unwritten", error=str(error))
        ray.get(self._ledger.done.remote(row))
