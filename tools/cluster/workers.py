"""What stands in for a restorer in the long tests, and what watches the workers."""

import os
import signal
import threading
import time

import psutil

import pentimento
from album import POISON


class Fragile:
    """A restorer whose process ends at one picture. It writes down what it is given."""

    device = "cpu"

    def __init__(self, network, delay, tries):
        self._delay = delay
        self._tries = os.open(tries, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._restorer = pentimento.Restorer(network, device="cpu", detector="default")

    @property
    def faces(self):
        return self._restorer.faces

    def restore_file(self, data, name, output, **options):
        os.write(self._tries, f"{name}\n".encode())
        if name.endswith(POISON):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self._delay)
        return self._restorer.restore_file(data, name, output, **options)


class Sleeper:
    """A network that takes its time and computes nothing. It begins when all ``actors`` are there:
    each adds a byte to the file ``there``."""

    device, faces = "sleep", []

    def __init__(self, seconds, there, actors):
        self._seconds, self._there, self._actors = seconds, there, actors
        with open(there, "ab") as file:
            file.write(b"x")

    def restore_file(self, data, name, output, **options):
        while os.path.getsize(self._there) < self._actors:
            time.sleep(0.5)
        self._actors = 0
        time.sleep(self._seconds)
        return data, {"is_photo": False, "copied": True, "notes": []}


class Memory:
    """The resident memory of the actors, in a thread."""

    def __init__(self, every=0.5):
        self._every, self._sizes, self._ends = every, [], threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self):
        while not self._ends.wait(self._every):
            sizes = [size for size in map(_size, psutil.process_iter()) if size]
            if sizes:
                self._sizes.append(max(sizes) / 1e6)

    def stop(self):
        """The largest actor's MB, by eighths of the time."""
        self._ends.set()
        self._thread.join()
        parts = [self._sizes[i * len(self._sizes) // 8 :][: -(-len(self._sizes) // 8)] for i in range(8)]
        return [round(max(sizes)) for sizes in parts if sizes]


class Cpu:
    """The processor time of this process and of all below it, in a thread: a cluster's nodes and
    actors, those that have ended too."""

    def __init__(self):
        self._times, self._kinds, self._ends = {}, {}, threading.Event()
        self._take()
        self._start = dict(self._times)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self):
        while not self._ends.wait(2.0):
            self._take()

    def _take(self):
        own = psutil.Process()
        for process in [own, *own.children(recursive=True)]:
            try:
                times = process.cpu_times()
                self._kinds[process.pid] = _kind(process, own)
            except psutil.Error:
                continue
            self._times[process.pid] = times.user + times.system

    def stop(self):
        """Seconds since the start, by what a process is."""
        self._ends.set()
        self._thread.join()
        self._take()
        parts = {}
        for pid, seconds in self._times.items():
            kind = self._kinds[pid]
            parts[kind] = parts.get(kind, 0.0) + seconds - self._start.get(pid, 0)
        return parts


def _kind(process, own):
    if process.pid == own.pid:
        return "driver"
    title = (process.cmdline() or [""])[0]
    if title.startswith("ray::") and "MapWorker" in title:
        return "workers"
    return "ledger" if title.startswith("ray::Ledger") else "Ray"


def _size(process):
    try:
        title = (process.cmdline() or [""])[0]
        is_actor = title.startswith("ray::") and "MapWorker" in title
        return process.memory_info().rss if is_actor else 0
    except psutil.Error:
        return 0
