"""Who works on which picture. It lives beside the driver, and outlives every worker of a run."""

from __future__ import annotations

import time

from ._manifest import Manifest

# Tries of a picture whose process ends.
TRIES = 2
# Rows that are written at once, and seconds that they may wait for others.
ROWS, WAIT = 256, 2.0


class Ledger:
    """An actor. Counts the tries of each picture, and writes what became of it to the manifest."""

    def __init__(self, place, run):
        self._manifest, self._run = Manifest(place), run
        self._tries, self._ended = {}, {}
        self._rows, self._parts, self._written = [], 0, time.monotonic()
        self._counts = {}

    def begin(self, picture, tell=True):
        """How often the picture is tried, with this time. Nothing where it is not to be tried: it is
        done, or its process has ended too often, which becomes its row if ``tell``."""
        name = picture["input"]
        if name in self._ended:
            return None
        tries = self._tries[name] = self._tries.get(name, 0) + 1
        if tries <= TRIES:
            return tries
        if tell:
            self.done({**picture, **self.killed(name)})
        return None

    def killed(self, name):
        """The row of a picture whose process has ended too often."""
        error = f"the process that restored it ended {TRIES} times; it is not tried again"
        return {"status": "killed", "error": error, "attempts": TRIES}

    def has_ended(self, name):
        """Whether it is known what became of the picture."""
        return name in self._ended

    def lived(self, name):
        """The process of the picture did not end."""
        self._tries.pop(name, None)

    def done_all(self, rows):
        """Takes what became of pictures whose rows belong together."""
        self.write()
        for row in rows:
            self._take(row)
        self.write()

    def done(self, row):
        """Takes what became of a picture."""
        self._take(row)
        if len(self._rows) >= ROWS or time.monotonic() - self._written > WAIT:
            self.write()

    def _take(self, row):
        name = row["input"]
        if name in self._ended:
            return
        self._tries.pop(name, None)
        row = {**row, "run": self._run, "finished": time.time_ns()}
        self._ended[name] = row["status"]
        kind = _kind(row)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._rows.append(row)

    def write(self):
        """Writes the rows that wait."""
        if self._rows:
            self._manifest.append(self._rows, self._run, self._parts)
            self._parts += 1
            self._rows = []
        self._written = time.monotonic()

    def counts(self):
        """Pictures that ended, by what became of them."""
        return self._counts


def _kind(row):
    if row["status"] != "restored":
        return "failed"
    faces = row.get("faces")
    if faces is None or any(face["restored"] for face in faces):
        return "restored"
    return "left_alone" if faces else "without_a_face"
