"""Long tests of pentimento.ray on a Ray cluster of four nodes, which are processes of this machine.

soak.py crash      nodes and drivers that are killed, a folder and an S3 server
soak.py speed      photos a second beside the command line on the same cores, and workers' memory
soak.py feed       actors whose network sleeps: how many one driver keeps busy

It needs pentimento[ray], psutil, Pillow, moto[server] and boto3, and the command line's program in
PENTIMENTO_PROGRAM. tools/cluster/test runs all of it.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import psutil
import pyarrow.parquet as pq
import ray
from PIL import Image
from ray.cluster_utils import Cluster

import pentimento
import pentimento.ray

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = ROOT / "tests/goldens/mmrbnet/default_32/checkpoint.safetensors"
POISON = "poison.png"
# One of this many pictures is broken.
BROKEN = 20


class Fragile:
    """A restorer whose process ends at one picture."""

    device = "cpu"

    def __init__(self, delay):
        self._delay = delay
        self._restorer = pentimento.Restorer(SMALL.read_bytes(), device="cpu")
        self.faces = []

    def restore_file(self, data, name, output, **options):
        if name.endswith(POISON):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self._delay)
        return self._restorer.restore_file(data, name, output, **options)


class Sleeper:
    """A network that takes its time and computes nothing."""

    device, faces = "sleep", []

    def __init__(self, seconds):
        self._seconds = seconds

    def restore_file(self, data, name, output, **options):
        time.sleep(self._seconds)
        return data, {"is_photo": False, "copied": True, "notes": []}


def album(folder, count, poison=True):
    """Pictures that differ; the count of those that are whole."""
    folder.mkdir(parents=True)
    endings = ["png", "jpg", "ppm"]
    broken = 0
    for i in range(count - poison):
        path = folder / f"{i % 10}" / f"{i:05}.{endings[i % 3]}"
        path.parent.mkdir(exist_ok=True)
        if i % BROKEN == 7:
            path.write_bytes(b"this is no picture")
            broken += 1
            continue
        pixels = np.random.default_rng(i).integers(0, 256, (32 + i % 9, 40, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    if poison:
        Image.new("RGB", (40, 40)).save(folder / POISON)
    return count - poison - broken


def results(folder):
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {n.as_posix(): (folder / n).read_bytes() for n in names if n.parts[0][0] not in "._"}


def line(folder, out, cores=None):
    """The command line's results and its seconds."""
    command = [os.environ["PENTIMENTO_PROGRAM"], "restore", folder, "-o", out, "--quiet"]
    command += ["--model", SMALL, "--aligned", "--device", "cpu"]
    if cores:
        command = ["taskset", "-c", cores, *command]
    start = time.monotonic()
    subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    return time.monotonic() - start


def check(rows, found, expected, whole, count):
    """One row a picture, and for each whole one the result that the command line writes."""
    names = [row["input"] for row in rows]
    assert len(names) == len(set(names)) == count, (len(names), len(set(names)), count)
    ends = [row["status"] for row in rows]
    assert ends.count("restored") == whole, (ends.count("restored"), whole)
    assert ends.count("failed") == count - 1 - whole and ends.count("killed") == 1
    assert all(row["attempts"] == 2 for row in rows if row["status"] == "killed")
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    differ = [name for name in expected if found[name] != expected[name]]
    assert not differ, f"{len(differ)} results differ, as {differ[0]}"


def driver(arguments):
    ray.init(address=arguments.address, log_to_driver=False)
    made = lambda: Fragile(arguments.delay)  # noqa: E731
    summary = pentimento.ray.restore(
        arguments.source, arguments.to, detector=None, concurrency=4, progress=False, restorer=made
    )
    print(summary, flush=True)


def drive(cluster, source, to, delay):
    command = [sys.executable, __file__, "driver", source, to, cluster.address, str(delay)]
    return subprocess.Popen([str(part) for part in command])


def crash(arguments, folder):
    """At random moments a node is killed, then the driver. The next run finishes."""
    count, delay = arguments.count, arguments.delay
    source, expected = folder / "album", folder / "line"
    whole = album(source, count)
    line(source, expected)
    expected = results(expected)
    expected.pop(POISON)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=2) for _ in range(3)]
    chance = random.Random(arguments.seed)
    for moment in range(3):
        out = folder / f"out{moment}"
        started = time.monotonic()
        run = drive(cluster, source, out, delay)
        while not list(out.glob("_pentimento/rows-*")) and run.poll() is None:
            time.sleep(0.1)
        time.sleep(chance.uniform(0, arguments.within))
        node = nodes.pop(chance.randrange(len(nodes)))
        rows = len(results(out))
        raylet = node.all_processes["raylet"][0].process
        os.kill(raylet.pid, signal.SIGKILL)
        nodes.append(cluster.add_node(num_cpus=2))
        time.sleep(chance.uniform(0, arguments.within))
        also = len(results(out))
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
        run.wait()
        print(
            f"moment {moment}: the node was killed with {rows} results of {whole}, the driver "
            f"with {also}", flush=True,
        )
        assert drive(cluster, source, out, delay).wait() == 0
        table = pq.read_table(out / "_pentimento/manifest.parquet").to_pylist()
        check(table, results(out), expected, whole, count)
        left = [path for path in out.rglob(".pentimento-*")] + list(out.glob("_pentimento/rows-*"))
        assert not left, left
        runs = {}
        for row in table:
            runs[row["run"]] = runs.get(row["run"], 0) + 1
        print(
            f"  all rows and bytes are right; rows by run: {sorted(runs.values())}; "
            f"{time.monotonic() - started:.0f} s in all", flush=True,
        )
    if not arguments.no_store:
        store(cluster, source, expected, whole, arguments)
    cluster.shutdown()


def store(cluster, source, expected, whole, arguments):
    """The same from and to an S3 server, without a crash but that of the poisoned picture."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    there = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    there.create_bucket(Bucket="photos")
    for name, data in results(source).items():
        there.put_object(Bucket="photos", Key=f"in/{name}", Body=data)
    query = f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1"
    start = time.monotonic()
    run = drive(cluster, f"s3://photos/in{query}", f"s3://photos/out{query}", 0)
    assert run.wait() == 0
    seconds = time.monotonic() - start
    found, rows = {}, None
    for page in there.get_paginator("list_objects_v2").paginate(Bucket="photos", Prefix="out/"):
        for entry in page["Contents"]:
            data = there.get_object(Bucket="photos", Key=entry["Key"])["Body"].read()
            if "_pentimento/" not in entry["Key"]:
                found[entry["Key"][4:]] = data
            elif entry["Key"].endswith("manifest.parquet"):
                import pyarrow

                rows = pq.read_table(pyarrow.BufferReader(data)).to_pylist()
    check(rows, found, expected, whole, arguments.count)
    print(f"S3: all rows and bytes are right, {seconds:.0f} s", flush=True)
    server.stop()


def speed(arguments, folder):
    """The command line and one or two workers on the same cores, in turns. Each measures all of a
    run but the start of its processes, as the slope between a short and a long album."""
    short, long = folder / "short", folder / "long"
    counts = arguments.count // 4, arguments.count
    for path, count in zip((short, long), counts):
        photos(path, count)
    for workers in (1, 2):
        cores = ",".join(str(core) for core in range(workers))
        os.sched_setaffinity(0, range(workers))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        cluster.add_node(num_cpus=workers)
        ray.init(address=cluster.address, log_to_driver=False)
        rates, memory = {"line": [], "ray": []}, []
        for turn in range(arguments.turns):
            seconds = []
            for path in (short, long):
                seconds.append(photo_line(path, folder / f"line{workers}{turn}{path.name}", cores))
            rates["line"].append((counts[1] - counts[0]) / (seconds[1] - seconds[0]))
            seconds = []
            for path in (short, long):
                start, watch = time.monotonic(), Memory()
                pentimento.ray.restore(
                    path,
                    folder / f"ray{workers}{turn}{path.name}",
                    concurrency=workers,
                    progress=False,
                )
                seconds.append(time.monotonic() - start)
                memory.append(watch.stop())
            rates["ray"].append((counts[1] - counts[0]) / (seconds[1] - seconds[0]))
        line_rate, ray_rate = (statistics.median(rates[name]) for name in ("line", "ray"))
        print(
            f"{workers} workers on {workers} cores: command line {line_rate:.2f} photos/s, Ray "
            f"{ray_rate:.2f} photos/s, {100 * (1 - ray_rate / line_rate):.0f}% less "
            f"(medians of {arguments.turns} turns, {counts[1]} photos)", flush=True,
        )
        print(f"  RSS of a worker, MB, by quarters of the long run: {memory[-1]}", flush=True)
        ray.shutdown()
        cluster.shutdown()


def photos(path, count):
    """Photos of one face, all of it the same face at other places."""
    path.mkdir()
    with Image.open(os.environ["PENTIMENTO_PHOTO"]) as photo:
        photo = photo.convert("RGB")
        photo.thumbnail((512, 512))
        for i in range(count):
            place = Image.new("RGB", (photo.width + 40, photo.height + 40), (i % 256, 99, 120))
            place.paste(photo, (i % 40, i * 7 % 40))
            place.save(path / f"{i:05}.jpg")


def photo_line(folder, out, cores):
    command = [os.environ["PENTIMENTO_PROGRAM"], "restore", folder, "-o", out, "--quiet"]
    command += ["--device", "cpu"]
    start = time.monotonic()
    subprocess.run(["taskset", "-c", cores, *command], cwd=ROOT, check=True)
    return time.monotonic() - start


class Memory:
    """The resident memory of the actors, in a thread."""

    def __init__(self):
        self._sizes, self._ends = [], threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._ends.wait(0.5):
            sizes = []
            for process in psutil.process_iter(["cmdline", "memory_info"]):
                words = process.info["cmdline"] or [""]
                if words[0].startswith("ray::") and "MapWorker" in words[0]:
                    sizes.append(process.info["memory_info"].rss)
            if sizes:
                self._sizes.append(max(sizes) / 1e6)

    def stop(self):
        self._ends.set()
        self._thread.join()
        part = max(1, len(self._sizes) // 4)
        parts = [self._sizes[i : i + part] for i in range(0, 4 * part, part)]
        return [round(max(sizes)) for sizes in parts if sizes]


def feed(arguments, folder):
    """Actors that sleep: how much of their time they have a picture."""
    actors, seconds = arguments.actors, arguments.seconds
    source = folder / "album"
    count = actors * arguments.each
    source.mkdir()
    picture = Image.new("RGB", (8, 8))
    picture.save(source / "0.png")
    for i in range(1, count):
        shutil.copy(source / "0.png", source / f"{i}.png")
    ray.init(num_cpus=actors, log_to_driver=False)
    summary = pentimento.ray.restore(
        source, folder / "out", detector=None, concurrency=actors, progress=False,
        restorer=lambda: Sleeper(seconds),
    )
    rows = pq.read_table(folder / "out/_pentimento/manifest.parquet", columns=["finished"])
    ends = sorted(row / 1e9 for row in rows["finished"].to_pylist())
    # Once all actors have started, and before the first has ended.
    first, last = count // 4, count * 9 // 10
    rate = (last - first) / (ends[last] - ends[first])
    print(
        f"{actors} actors whose network takes {seconds} s: {rate:.0f} pictures/s of "
        f"{actors / seconds:.0f}, {100 * rate * seconds / actors:.0f}% busy; {summary}", flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("crash")
    part.add_argument("--count", type=int, default=2000)
    part.add_argument("--delay", type=float, default=0.02, help="seconds that a picture takes more")
    part.add_argument("--within", type=float, default=5.0, help="seconds until something is killed")
    part.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    part.add_argument("--no-store", action="store_true")
    part = parts.add_parser("speed")
    part.add_argument("--count", type=int, default=400)
    part.add_argument("--turns", type=int, default=3)
    part = parts.add_parser("feed")
    part.add_argument("--actors", type=int, default=100)
    part.add_argument("--seconds", type=float, default=1.0)
    part.add_argument("--each", type=int, default=40)
    part = parts.add_parser("driver", help=argparse.SUPPRESS)
    for name in ("source", "to", "address"):
        part.add_argument(name)
    part.add_argument("delay", type=float)
    arguments = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    # As the command line, which they are compared with.
    os.environ["RAY_worker_niceness"] = "0"
    if arguments.part == "driver":
        return driver(arguments)
    if hasattr(arguments, "seed"):
        print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder:
        globals()[arguments.part](arguments, pathlib.Path(folder))


if __name__ == "__main__":
    main()
