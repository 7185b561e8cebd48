"""One engine and one subject, run when asked: prints a line of JSON when it is ready, then the
seconds of one run for every line on standard input, as `pentimento bench --on-demand` does."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from subjects import SUBJECTS, Subject

Values = NDArray[np.float32]
#: Starts a run and waits for it; fetches its result.
Engine = tuple[Callable[[], object], Callable[[object], Values]]


def pytorch(subject: Subject, how: set[str]) -> Engine:
    """Eager; with "channels-last", "compiled", "cuda", "f16", "graph", "published" among `how` otherwise.

    "graph" records the run once, so that the GPU starts all its kernels by itself; "published"
    computes GFPGAN's modulated weights per sample, as its authors' code does.
    """
    device = "cuda" if "cuda" in how else "cpu"
    dtype = torch.float16 if "f16" in how else torch.float32
    model = subject.model()
    if "published" in how:
        model.set_factored(False)
    layout = torch.channels_last if "channels-last" in how else torch.contiguous_format
    model = model.to(device, dtype)
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)
    x = torch.from_numpy(subject.input()).to(device, dtype).contiguous(memory_format=layout)
    if "compiled" in how:
        mode = "reduce-overhead" if device == "cuda" else "default"
        model = torch.compile(model, mode=mode)
    if "graph" in how:
        model = recorded(model, x)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            y = model(x)
        # As ours does, and ncnn's.
        return y.cpu() if device == "cuda" else y

    return run, lambda y: y.float().contiguous().numpy()


def recorded(model: torch.nn.Module, x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A CUDA graph of the model on `x`, whatever it is called with."""
    with torch.inference_mode():
        aside = torch.cuda.Stream()
        with torch.cuda.stream(aside):
            for _ in range(3):
                model(x)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = model(x)

    def replay(_: torch.Tensor) -> torch.Tensor:
        graph.replay()
        return y

    return replay


def file(subject: Subject, folder: Path) -> Path:
    """Where what is made of a subject is kept, without an ending.

    The default model's weights change from version to version, and their digest is in the name.
    """
    name = re.sub(r"[^a-z0-9]+", "_", subject.name)
    if subject.name.startswith("mmrbnet"):
        name += "_" + hashlib.sha256(subject.weights(folder).read_bytes()).hexdigest()[:8]
    return folder / name


def onnx(subject: Subject, folder: Path) -> Path:
    """The subject as an ONNX file, written when it is missing."""
    path = file(subject, folder).with_suffix(".onnx")
    if not path.exists():
        x = torch.from_numpy(subject.input())
        with torch.inference_mode():
            program = torch.onnx.export(
                subject.model(), (x,), dynamo=True, input_names=["x"], output_names=["y"]
            )
        program.save(path)
    return path


def onnxruntime(subject: Subject, folder: Path, threads: int, how: set[str]) -> Engine:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads

    provider = "CUDAExecutionProvider" if "cuda" in how else "CPUExecutionProvider"
    session = ort.InferenceSession(str(onnx(subject, folder)), options, [provider])
    x = subject.input()
    return lambda: session.run(None, {"x": x})[0], lambda y: y


def ncnn(subject: Subject, folder: Path, threads: int, how: set[str]) -> Engine:
    """On the CPU, or with "vulkan" on the adapter of that number."""
    import ncnn
    import pnnx

    path = file(subject, folder)
    param, weights = f"{path}.ncnn.param", f"{path}.ncnn.bin"
    if not Path(param).exists():
        x = torch.from_numpy(subject.input())
        pnnx.export(
            subject.model(), f"{path}.pt", x, ncnnparam=param, ncnnbin=weights, fp16=False
        )
    net = ncnn.Net()
    net.opt.num_threads = threads
    for half in ["fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"]:
        setattr(net.opt, f"use_{half}", False)
    adapters = [part.partition("=")[2] for part in how if part.startswith("vulkan")]
    net.opt.use_vulkan_compute = bool(adapters)
    if adapters:
        net.set_vulkan_device(int(adapters[0] or 0))
    net.load_param(param)
    net.load_model(weights)
    x = subject.input()[0]

    def run() -> object:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(x))
        status, y = extractor.extract("out0")
        assert status == 0, f"ncnn returns {status}"
        return y

    return run, lambda y: np.array(y)


def serve(subject: Subject, run: Callable[[], object], fetch: Callable[[object], Values]) -> None:
    """Answers until standard input ends."""
    values = fetch(run()).reshape(-1)
    at = (np.arange(64, dtype=np.uint64) * np.uint64(2_654_435_761)) % np.uint64(values.size)
    ready = {"name": subject.name, "len": values.size, "probes": values[at].tolist()}
    print(json.dumps(ready), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


def main() -> None:
    """`worker.py ENGINE SUBJECT FOLDER THREADS [HOW …]`"""
    engine, name, folder, threads, *how = sys.argv[1:]
    torch.set_num_threads(int(threads))
    subject = next(subject for subject in SUBJECTS if subject.name == name)
    match engine:
        case "pytorch":
            made = pytorch(subject, set(how))
        case "onnxruntime":
            made = onnxruntime(subject, Path(folder), int(threads), set(how))
        case "ncnn":
            made = ncnn(subject, Path(folder), int(threads), set(how))
        case _:
            raise SystemExit(f"there is no engine {engine}")
    serve(subject, *made)


if __name__ == "__main__":
    main()
