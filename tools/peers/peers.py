"""Runs networks and layers through Pentimento and other engines, in turn, and prints the ratios.

Every engine is a process of its own that holds the subject ready and runs it when it is asked to:
one run of each engine, then the next run of each, so that what disturbs the machine disturbs all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from safetensors.numpy import save_file

from subjects import ROOT, SUBJECTS, Subject
from worker import file, onnx

HERE = Path(__file__).resolve().parent


@dataclass
class Engine:
    """How an engine is started, and on which device of ours it stands for a comparison."""

    name: str
    command: list[str]
    #: "cpu", "vulkan" or "cuda": compared with ours there.
    device: str
    #: Beside this process's own.
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Result:
    """What an engine did with a subject."""

    engine: str
    device: str
    subject: str
    seconds: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    failure: str | None = None

    def median(self) -> float:
        return statistics.median(self.seconds)


class Worker:
    """A running engine."""

    def __init__(self, engine: Engine, subject: Subject, log: Path, threads: str) -> None:
        self.result = Result(engine.name, engine.device, subject.name)
        self.log = log.open("w")
        self.process = subprocess.Popen(
            engine.command,
            cwd=HERE,
            env={
                **os.environ,
                "RAYON_NUM_THREADS": threads,
                "OMP_NUM_THREADS": threads,
                **engine.environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self._line()
        while line and not line.startswith("{"):
            line = self._line()
        if line:
            self.result.probes = json.loads(line)["probes"]
        else:
            self.result.failure = f"did not start, see {log.name}"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def run(self) -> None:
        """One run."""
        if self.result.failure:
            return
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            self.result.seconds.append(float(self._line()))
        except (BrokenPipeError, ValueError):
            self.result.failure = "stopped"

    def close(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait(60)
        self.log.close()


def engines(subject: Subject, options: argparse.Namespace, folder: Path) -> list[Engine]:
    """Ours on the CPU and on `--vulkan`, and the peers of each."""
    python = [sys.executable, str(HERE / "worker.py")]
    threads = str(options.threads)

    def worker(kind: str, *how: str) -> list[str]:
        return [*python, kind, subject.name, str(folder), threads, *how]

    def ours(device: str) -> list[str]:
        arguments = ["bench", "--on-demand", "--precision", options.precision, "--device", device]
        return [str(options.binary), *arguments, *subject.ours(folder)]

    def rust(name: str, device: str, **environment: str) -> Engine:
        command = [str(options.rust / f"peer-{name}"), subject.name, str(file(subject, folder)), threads]
        return Engine(name, command, device, environment)

    # Small programs against their libraries: layers, and a network that is a list of them.
    listed = subject.layer or subject.name.startswith("srvgg")
    found = []
    if options.cpu:
        found = [
            Engine("pentimento", ours("cpu"), "cpu"),
            Engine("PyTorch eager", worker("pytorch"), "cpu"),
            Engine("PyTorch channels-last", worker("pytorch", "channels-last"), "cpu"),
            Engine("PyTorch compiled", worker("pytorch", "compiled"), "cpu"),
            Engine("ONNX Runtime", worker("onnxruntime"), "cpu"),
            Engine("ncnn", worker("ncnn"), "cpu"),
        ]
        if subject.name.startswith("gfpgan"):
            found.insert(2, Engine("PyTorch as published", worker("pytorch", "published"), "cpu"))
        if options.rust:
            found.append(rust("tract", "cpu"))
            if listed:
                found.append(rust("candle", "cpu"))
    if options.vulkan is not None:
        found.append(Engine("pentimento", ours(options.vulkan), "vulkan"))
        found.append(Engine("ncnn", worker("ncnn", f"vulkan={options.ncnn_adapter}"), "vulkan"))
        if options.rust and listed:
            found.append(rust("burn", "vulkan", CUBECL_WGPU_DEFAULT_DEVICE=options.burn_adapter))
    if options.cuda:
        found.append(Engine("pentimento", ours("vulkan"), "cuda"))
        half = ["channels-last", *(["f16"] if options.precision == "f16" else [])]
        found.append(Engine("PyTorch eager", worker("pytorch", "cuda", *half), "cuda"))
        found.append(Engine("PyTorch graph", worker("pytorch", "cuda", "graph", *half), "cuda"))
        compiled = worker("pytorch", "cuda", "compiled", *half)
        found.append(Engine("PyTorch compiled", compiled, "cuda"))
        found.append(Engine("ONNX Runtime", worker("onnxruntime", "cuda"), "cuda"))
    return [e for e in found if not options.engine or any(w in e.name for w in options.engine)]


def write_for_rust(subject: Subject, folder: Path) -> None:
    """The subject as the programs in `rust` read it, where it is missing."""
    onnx(subject, folder)
    for part, tensors in [
        ("input", lambda: {"input": subject.input()}),
        ("weights", lambda: {k: v.numpy() for k, v in subject.model().state_dict().items()}),
    ]:
        path = Path(f"{file(subject, folder)}.{part}.safetensors")
        if not path.exists():
            save_file(tensors(), path)


def measure(subject: Subject, options: argparse.Namespace, folder: Path) -> list[Result]:
    """All engines on one subject, in turn."""
    chosen = engines(subject, options, folder)
    if any(Path(engine.command[0]).parent == options.rust for engine in chosen):
        write_for_rust(subject, folder)
    workers = []
    for engine in chosen:
        log = folder / f"{engine.device}-{engine.name}-{subject.name}.log".replace(" ", "-")
        print(f"  {subject.name}: {engine.name} on {engine.device}", file=sys.stderr, flush=True)
        workers.append(Worker(engine, subject, log, str(options.threads)))
    for _ in range(1 + options.rounds):
        for worker in workers:
            worker.run()
    for worker in workers:
        worker.close()
        # The first run is a warm-up.
        worker.result.seconds = worker.result.seconds[1:]
    return [worker.result for worker in workers]


def rows(results: list[Result]) -> list[dict[str, Any]]:
    """Ratios to ours on the same device and subject, and how far results lie from ours."""
    table = []
    for result in results:
        key = (result.device, result.subject)
        ours = next(
            (r for r in results if (r.device, r.subject, r.engine) == (*key, "pentimento")), None
        )
        row: dict[str, Any] = {
            "subject": result.subject,
            "device": result.device,
            "engine": result.engine,
            "failure": result.failure,
        }
        if result.seconds:
            row["seconds"] = result.median()
            row["samples"] = result.seconds
        if result.seconds and ours is not None and ours.seconds:
            row["ratio"] = statistics.median(
                theirs / our for theirs, our in zip(result.seconds, ours.seconds)
            )
            a, b = np.array(result.probes), np.array(ours.probes)
            row["distance"] = float(np.linalg.norm(a - b) / np.linalg.norm(b))
        table.append(row)
    return table


def markdown(table: list[dict[str, Any]], machine: str) -> str:
    """The table for people."""
    lines = [
        f"{machine}.",
        "",
        "| subject | device | engine | median | time / ours | distance from ours |",
        "|---|---|---|---|---|---|",
    ]
    for row in table:
        cells = [row["subject"], row["device"], row["engine"]]
        if "seconds" in row:
            cells.append(f"{1e3 * row['seconds']:.1f} ms")
            cells.append(f"{row['ratio']:.2f}×" if "ratio" in row else "–")
            cells.append(f"{row['distance']:.0e}" if "distance" in row else "–")
        else:
            cells += [row["failure"] or "no runs", "–", "–"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def machine(options: argparse.Namespace) -> str:
    """What it was measured on."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    except OSError:
        pass
    return f"{name}, {options.threads} threads, {options.precision}, {options.rounds} rounds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--subject", action="append", default=[], help="part of a subject's name")
    parser.add_argument("--engine", action="append", default=[], help="part of an engine's name")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-cpu", dest="cpu", action="store_false", help="not on the CPU")
    parser.add_argument("--vulkan", metavar="DEVICE", help="also on this device of `pentimento devices`")
    parser.add_argument("--ncnn-adapter", type=int, default=0, help="ncnn's number of the same adapter")
    parser.add_argument("--cuda", action="store_true", help="also on CUDA, ours on Vulkan")
    parser.add_argument("--precision", choices=["f32", "f16"], default="f32")
    parser.add_argument(
        "--burn-adapter", default="DefaultDevice", help="burn's name of the same adapter, such as Cpu"
    )
    parser.add_argument("--rust", type=Path, help="folder of the programs of tools/peers/rust")
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "pentimento")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "peers")
    options = parser.parse_args()
    # Engines run in a folder of their own.
    options.binary, options.out = options.binary.resolve(), options.out.resolve()
    options.rust = options.rust and options.rust.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for subject in SUBJECTS:
        if not options.subject or any(part in subject.name for part in options.subject):
            results += measure(subject, options, options.out)
            # A run that is broken off leaves what it has.
            table = rows(results)
            report = {"machine": machine(options), "rows": table}
            (options.out / "peers.json").write_text(json.dumps(report, indent=1) + "\n")
            (options.out / "peers.md").write_text(markdown(table, machine(options)))
    print((options.out / "peers.md").read_text())


if __name__ == "__main__":
    main()
