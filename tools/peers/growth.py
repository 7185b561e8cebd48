"""How time and memory grow with size, batch and threads, and how long the first result takes.

Writes growth.json and growth.svg into --out. Uses `pentimento bench --on-demand` alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from subjects import ROOT, SUBJECTS

Point = tuple[float, float]


def run(options: argparse.Namespace, arguments: list[str], **more: str) -> dict[str, Any]:
    """Median seconds, memory and time to the first result of one network."""
    command = [str(options.binary), "bench", "--on-demand", "--device", options.device, *arguments]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(options.threads), **more}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdin is not None and process.stdout is not None
    ready = json.loads(process.stdout.readline())
    seconds = []
    for _ in range(options.rounds):
        process.stdin.write("\n")
        process.stdin.flush()
        seconds.append(float(process.stdout.readline()))
    process.stdin.close()
    process.wait()
    return {
        "seconds": statistics.median(seconds),
        "memory": ready["memory"],
        "first_result": ready["first_result"],
    }


def model(name: str, folder: Path) -> list[str]:
    subject = next(subject for subject in SUBJECTS if subject.name == name)
    return ["--only", "peaks", "--model", str(subject.weights(folder))]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    upscale = model("srvgg-x4-256", options.out)
    face = model("mmrbnet-256", options.out)
    sizes = {n: run(options, [*upscale, "--size", str(n)]) for n in options.sizes}
    batches = {n: run(options, [*face, "--batch", str(n)]) for n in [1, 2, 4, 8, 16, 32]}
    threads = {}
    for name in ["mmrbnet-256", "gfpgan-512"]:
        for n in range(1, options.threads + 1):
            result = run(options, model(name, options.out), RAYON_NUM_THREADS=str(n))
            threads[f"{name}, {n}"] = result
    starts = {}
    for name in ["mmrbnet-256", "gfpgan-512"]:
        with tempfile.TemporaryDirectory() as cache:
            places = {"XDG_CACHE_HOME": cache, "MESA_SHADER_CACHE_DIR": cache}
            both = [run(options, model(name, options.out), **places) for _ in range(2)]
            starts[name] = [result["first_result"] for result in both]
    return {"sizes": sizes, "batches": batches, "threads": threads, "starts": starts}


def panel(left: float, title: str, unit: str, x: str, lines: dict[str, list[Point]]) -> str:
    """One plot with logarithmic axes."""
    width, top, bottom = 250.0, 40.0, 250.0
    points = [point for line in lines.values() for point in line]
    (x0, x1), (y0, y1) = [(min(v), max(v)) for v in zip(*points)]
    y0, y1 = 10 ** math.floor(math.log10(y0)), 10 ** math.ceil(math.log10(y1))

    def at(point: Point) -> Point:
        px = math.log(point[0] / x0) / max(math.log(x1 / x0), 1e-9)
        py = math.log(point[1] / y0) / math.log(y1 / y0)
        return left + px * width, bottom - py * (bottom - top)

    svg = f'<text class="b" x="{left}" y="20">{title}</text>'
    decade = y0
    while decade <= y1 * 1.001:
        y = at((x0, decade))[1]
        svg += f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}"/>'
        svg += f'<text text-anchor="end" x="{left - 6}" y="{y + 4:.1f}">{decade:g}</text>'
        decade *= 10
    beyond = math.inf
    for value in sorted({point[0] for point in points}, reverse=True):
        px = at((value, y0))[0]
        half = 4.0 * len(f"{value:g}")
        # From the right, what has room beside the one before.
        if px + half < beyond:
            svg += f'<text text-anchor="middle" x="{px:.1f}" y="{bottom + 18}">{value:g}</text>'
            beyond = px - half - 3
    svg += f'<text text-anchor="middle" x="{left + width / 2}" y="{bottom + 38}">{x}</text>'
    svg += f'<text x="{left - 40}" y="{top - 14}">{unit}</text>'
    for index, (name, line) in enumerate(lines.items()):
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in map(at, line))
        svg += f'<polyline class="l{index}" points="{path}"/>'
        for px, py in map(at, line):
            svg += f'<circle class="d{index}" cx="{px:.1f}" cy="{py:.1f}" r="3"/>'
        px, py = at(line[-1])
        # Beside the line, not on it.
        py += 18 if line[-1][1] < line[0][1] else -8
        # Not over the numbers at the left; a letter is at most 7.2 wide.
        px = max(px, left + 7.2 * len(name))
        svg += f'<text class="t{index}" text-anchor="end" x="{px:.1f}" y="{py:.1f}">{name}</text>'
    return svg


STYLE = """
text { font: 12px system-ui, sans-serif; fill: #5f6570 } .b { font-weight: 600; fill: #1a1c20 }
line { stroke: #d9dce1 } polyline { fill: none; stroke-width: 2 } rect { fill: #fff }
.l0 { stroke: #1f6feb } .d0, .t0 { fill: #1f6feb } .l1 { stroke: #d1640c } .d1, .t1 { fill: #d1640c }
@media (prefers-color-scheme: dark) { rect { fill: #14161a } text { fill: #9aa1ad } .b { fill: #e6e8eb }
line { stroke: #333841 } .l0 { stroke: #6ea8ff } .d0, .t0 { fill: #6ea8ff }
.l1 { stroke: #ff9d57 } .d1, .t1 { fill: #ff9d57 } }
"""


def plot(report: dict[str, Any]) -> str:
    def line(table: dict[str, Any], value: str, unit: float) -> list[Point]:
        return [(float(x), row[value] / unit) for x, row in table.items()]

    sizes, batches = report["sizes"], report["batches"]
    per_face = [(x, y / x) for x, y in line(batches, "seconds", 1e-3)]
    panels = [
        panel(60, "Time over size", "s", "side of the input in pixels",
              {"SRVGG ×4": line(sizes, "seconds", 1)}),
        panel(390, "Memory over size and batch", "MB", "side of the input; pictures per batch",
              {"SRVGG ×4, side": line(sizes, "memory", 1e6),
               "MMRB-Net 256, batch": line(batches, "memory", 1e6)}),
        panel(720, "Time per face over batch", "ms", "pictures per batch",
              {"MMRB-Net 256": per_face}),
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 300">'
        f"<style>{STYLE}</style><rect width='1000' height='300'/>{''.join(panels)}</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024, 2048])
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "pentimento")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "peers")
    parser.add_argument("--plot", type=Path, help="only draw this growth.json again")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    report = json.loads(options.plot.read_text()) if options.plot else measure(options)
    (options.out / "growth.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "growth.svg").write_text(plot(report))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
