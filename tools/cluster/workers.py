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
    """A network that takes its time and computes nothing."""

    device, faces = "sleep", []

    def __init__(self, seconds):
        self._seconds = seconds

    def restore_file(self, data, name, output, **options):
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


def _size(process):
    try:
        title = (process.cmdline() or [""])[0]
        is_actor = title.startswith("ray::") and "MapWorker" in title
        return process.memory_info().rss if is_actor else 0
    except psutil.Error:
        return 0
