"""Long tests of pentimento.ray on Ray clusters, whose nodes are processes of this machine.

soak.py same       a folder and an S3 server, on one node and on four: the command line's results
soak.py crash      nodes and drivers that are killed at random moments, and the rerun
soak.py memory     the resident memory of one worker over the whole album, with the default network
soak.py speed      photos a second beside the command line on the same cores
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
import time

import pyarrow.parquet as pq
import ray
from PIL import Image
from ray.cluster_utils import Cluster

import album
import pentimento.ray
import workers
from album import Line, make_album, run_line
from places import Bucket, Folder
from workers import Cpu, Fragile, Memory, Sleeper

# Actors find no file of this folder.
for module in (album, workers):
    ray.cloudpickle.register_pickle_by_value(module)


def start(nodes, cpus):
    """A cluster of a head, where the driver and no restorer lives, and the other nodes."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    return cluster, [cluster.add_node(num_cpus=cpus) for _ in range(nodes - 1)]


def driver(arguments):
    """A run of its own process, which a test may kill."""
    ray.init(address=arguments.address, log_to_driver=False)
    network, delay, tries = album.small_network(), arguments.delay, arguments.tries
    summary = pentimento.ray.restore(
        arguments.source, arguments.to, concurrency=arguments.actors, progress=False,
        restorer=lambda: Fragile(network, delay, tries),
    )
    print(f"  {summary}", flush=True)


def drive(cluster, place, actors, delay, tries):
    command = [sys.executable, __file__, "driver", place.source, place.out, cluster.address]
    return subprocess.Popen([*command, str(actors), str(delay), str(tries)])


def prepared(arguments, folder):
    """The album, and what the command line makes of it."""
    kept = arguments.album or folder
    source, network = kept / "album", kept / "small.safetensors"
    if not source.exists():
        network.write_bytes(album.small_network())
        make_album(source, arguments.count)
    line = Line(source, kept / "line", network)
    faces = sum(1 for end in line.ends.values() if not isinstance(end, str) and end[3])
    print(
        f"the command line: {len(line.results)} results of {arguments.count} photos, {faces} with a "
        f"face", flush=True,
    )
    assert len(line.ends) == arguments.count, "another --count needs another --album"
    return source, line


def same(arguments, folder):
    """The command line's results, whatever holds the album and however many nodes there are."""
    source, line = prepared(arguments, folder)
    for nodes, kinds in ((2, ["folder"]), (4, ["folder", "S3"])):
        kinds = [kind for kind in kinds if arguments.only in (None, f"{kind}{nodes}")]
        if not kinds:
            continue
        cluster, _ = start(nodes, arguments.cpus)
        actors = arguments.cpus * (nodes - 1)
        for kind in kinds:
            place = Folder(source, folder / f"out{nodes}") if kind == "folder" else Bucket(source)
            tries, watch, began = folder / f"tries{nodes}{kind}", Memory(), time.monotonic()
            assert drive(cluster, place, actors, 0, tries).wait() == 0
            seconds = time.monotonic() - began
            print(f"  MB of the largest actor, by eighths of the time: {watch.stop()}", flush=True)
            line.check(place.rows(), place.results(), place.root)
            assert not place.left_over(), place.left_over()
            given = tries.read_text().split("\n")[:-1]
            twice = len(given) - len(set(given))
            print(
                f"{kind}, {nodes} nodes, {actors} actors: all rows and bytes are right, {twice} "
                f"photos were given twice, {seconds:.0f} s", flush=True,
            )
        cluster.shutdown()


def crash(arguments, folder):
    """At random moments a node is killed, then the driver. The next run finishes."""
    source, line = prepared(arguments, folder)
    cluster, nodes = start(4, arguments.cpus)
    actors, chance = arguments.cpus * 3, random.Random(arguments.seed)
    for moment, kind in enumerate(["folder", "S3", "folder"]):
        place = Folder(source, folder / f"out{moment}") if kind == "folder" else Bucket(source)
        tries = [folder / f"tries{moment}{run}" for run in (0, 1)]
        began = time.monotonic()
        run = drive(cluster, place, actors, arguments.delay, tries[0])
        # Some share of the photos is done when the node goes, and some more when the driver does.
        at = sorted(chance.uniform(0.02, 0.9) for _ in range(2))
        wait_for(run, place, at[0] * len(line.results))
        node = nodes.pop(chance.randrange(len(nodes)))
        counts = [place.count()]
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        nodes.append(cluster.add_node(num_cpus=arguments.cpus))
        wait_for(run, place, at[1] * len(line.results))
        counts.append(place.count())
        assert run.poll() is None, "the driver had ended before it was killed"
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        print(
            f"moment {moment}, {kind}: the node was killed with {counts[0]} results of "
            f"{len(line.results)}, the driver with {counts[1]}", flush=True,
        )
        assert drive(cluster, place, actors, 0, tries[1]).wait() == 0
        rows = place.rows()
        line.check(rows, place.results(), place.root)
        assert not place.left_over(), place.left_over()
        again(rows, tries)
        print(f"  all rows and bytes are right; {time.monotonic() - began:.0f} s in all", flush=True)
    cluster.shutdown()


def wait_for(run, place, count):
    """Until there are so many results, or the run has ended."""
    while place.count() < count and run.poll() is None:
        time.sleep(0.2)


def again(rows, tries):
    """What the second run did again had no row of the first run."""
    given = [path.read_text().split("\n")[:-1] for path in tries]
    first = min(rows, key=lambda row: row["finished"])["run"]
    kept = {row["input"] for row in rows if row["run"] == first}
    assert not kept & set(given[1]), kept & set(given[1])
    done = len(set(given[0]) & set(given[1]))
    print(
        f"  rows of the first run: {len(kept)} of {len(rows)}; both runs were given {done} photos; "
        f"the first was given {len(given[0]) - len(set(given[0]))} again", flush=True,
    )


def memory(arguments, folder):
    """One worker over all photos, with the networks that the package brings."""
    source = folder / "album"
    make_album(source, arguments.count, poison=False)
    cluster, _ = start(2, 1)
    ray.init(address=cluster.address, log_to_driver=False)
    watch = Memory(2.0)
    summary = pentimento.ray.restore(source, folder / "out", concurrency=1, progress=False)
    print(f"{summary}\n  MB of the worker, by eighths of the run: {watch.stop()}", flush=True)


def speed(arguments, folder):
    """The command line and one or two workers on the same cores, in turns. Each measures all of a
    run but the start of its processes, as the slope between a short and a long album. The time of
    the processors hardly depends on what else the machine does."""
    kept = arguments.album or folder
    paths = kept / "short", kept / "long"
    counts = arguments.count // 4, arguments.count
    for path, count in zip(paths, counts):
        if not path.exists():
            make_album(path, count, poison=False, size=arguments.size)
    more = counts[1] - counts[0]
    for actors in arguments.workers:
        cores = ",".join(str(core) for core in range(actors))
        os.sched_setaffinity(0, range(actors))
        by_part = []
        # One node: what a second one needs for itself would be on these cores, too.
        ray.init("local", num_cpus=actors, include_dashboard=False, log_to_driver=False)

        def by_line(path, out):
            before, seconds = os.times(), run_line(path, out, cores=cores)
            return seconds, sum(os.times()[2:4]) - sum(before[2:4])

        def by_ray(path, out):
            began, watch = time.monotonic(), Cpu()
            pentimento.ray.restore(path, out, concurrency=actors, progress=False)
            seconds, parts = time.monotonic() - began, watch.stop()
            by_part.append(parts)
            return seconds, sum(parts.values())

        # What the first run of a cluster starts stays for the next ones.
        by_ray(paths[0], folder / f"warm{actors}")
        found = {by_line: [], by_ray: []}
        for turn in range(arguments.turns):
            for measured, slopes in found.items():
                outs = [folder / f"{measured.__name__}{actors}{turn}{path.name}" for path in paths]
                short, long = (measured(path, out) for path, out in zip(paths, outs))
                slopes.append([(b - a) / more for a, b in zip(short, long)])
                print(f"  {measured.__name__}: s a photo, wall and CPU: {slopes[-1]}", flush=True)
            short, long = by_part[-2:]
            each = {kind: (long[kind] - short.get(kind, 0)) / more for kind in long}
            each = ", ".join(f"{kind} {seconds:.3f} s" for kind, seconds in each.items())
            print(f"  CPU time of a photo by process: {each}", flush=True)
        for kind, what in enumerate(["wall", "CPU"]):
            line, with_ray = ([slope[kind] for slope in slopes] for slopes in found.values())
            ratios = [b / a for a, b in zip(line, with_ray)]
            print(
                f"{actors} workers on {actors} cores, {what} time of a photo: command line "
                f"{statistics.median(line):.3f} s, Ray {statistics.median(with_ray):.3f} s, "
                f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f} in "
                f"{arguments.turns} turns of {more} photos; load {os.getloadavg()[0]:.1f})", flush=True,
            )
        ray.shutdown()


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
    # All of them start at once, on the cores of this machine.
    os.environ.setdefault("RAY_worker_register_timeout_seconds", "900")
    ray.init("local", num_cpus=actors, log_to_driver=False)
    summary = pentimento.ray.restore(
        source, folder / "out", detector=None, concurrency=actors, progress=False,
        restorer=lambda: Sleeper(seconds, folder / "there", actors),
    )
    rows = pq.read_table(folder / "out/_pentimento/manifest.parquet", columns=["finished"])
    ends = sorted(row / 1e9 for row in rows["finished"].to_pylist())
    # Without the first pictures, for which all wait, and before the first actor has none left.
    first, last = 2 * actors, count * 9 // 10
    rate = (last - first) / (ends[last] - ends[first])
    print(
        f"{actors} actors whose network takes {seconds} s: {rate:.0f} pictures/s of "
        f"{actors / seconds:.0f}, {100 * rate * seconds / actors:.0f}% busy, load "
        f"{os.getloadavg()[0]:.1f}; {summary}", flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("same")
    part.add_argument("--count", type=int, default=2000)
    part.add_argument("--album", type=pathlib.Path, help="a folder that keeps the album for later runs")
    part.add_argument("--cpus", type=int, default=1, help="cores of each node")
    part.add_argument("--only", choices=["folder2", "folder4", "S34"], help="the place, and the nodes")
    part = parts.add_parser("crash")
    part.add_argument("--count", type=int, default=2000)
    part.add_argument("--album", type=pathlib.Path, help="a folder that keeps the album for later runs")
    part.add_argument("--cpus", type=int, default=1, help="cores of each node")
    part.add_argument("--delay", type=float, default=0.0, help="seconds that a photo takes more")
    part.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    part = parts.add_parser("memory")
    part.add_argument("--count", type=int, default=2000)
    part = parts.add_parser("speed")
    part.add_argument("--count", type=int, default=80)
    part.add_argument("--album", type=pathlib.Path, help="a folder that keeps the albums for later runs")
    part.add_argument("--turns", type=int, default=3)
    part.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    part.add_argument("--size", type=int, nargs=2, default=[1920, 1440], metavar=("COLUMNS", "ROWS"))
    part = parts.add_parser("feed")
    part.add_argument("--actors", type=int, default=100)
    part.add_argument("--seconds", type=float, default=1.0)
    part.add_argument("--each", type=int, default=40)
    part = parts.add_parser("driver", help=argparse.SUPPRESS)
    for name in ("source", "to", "address"):
        part.add_argument(name)
    part.add_argument("actors", type=int)
    part.add_argument("delay", type=float)
    part.add_argument("tries")
    arguments = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    # As the command line, which they are compared with.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if arguments.part == "driver":
        return driver(arguments)
    if hasattr(arguments, "seed"):
        print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder:
        globals()[arguments.part](arguments, pathlib.Path(folder))


if __name__ == "__main__":
    main()
