"""Folders and prefixes of object stores: listed, read, and written whole or not at all."""

from __future__ import annotations

import io
import os
import re
import shutil
import uuid

import pyarrow as pa
from pyarrow import fs as pafs

from .. import _native

# What the program writes beside results, and a result that is not finished.
OWN = "_pentimento"
UNFINISHED = ".pentimento-"

# One put makes an object, so that no name before it is needed.
_STORES = ("s3", "gcs", "gs", "abfs", "az", "memory")

# Pictures that are read but not written, or that are refused by their name and not passed over.
_OTHERS = "pgm pbm pam heic heif hif avif jxl jp2 gif".split()


class Place:
    """A path and its file system. ``uri`` is a path, or what :func:`pyarrow.fs.FileSystem.from_uri`
    or :mod:`fsspec` opens; with ``filesystem``, of either library, a path in that."""

    def __init__(self, uri, filesystem=None):
        self.uri = os.fspath(uri)
        self.fs, self.path = _opened(self.uri, filesystem)
        self.path = self.path.rstrip("/") or "/"

    def join(self, name):
        return f"{self.path.rstrip('/')}/{name}"

    def files(self, path=None):
        """Files at and below a folder, sorted by their paths; none where it is missing."""
        selector = pafs.FileSelector(path or self.path, recursive=True, allow_not_found=True)
        infos = self.fs.get_file_info(selector)
        return sorted((i for i in infos if i.type == pafs.FileType.File), key=lambda i: i.path)

    def info(self):
        return self.fs.get_file_info(self.path)

    def read(self, path):
        with self.fs.open_input_stream(path) as file:
            return file.read()

    def write(self, path, data):
        """Writes bytes, or what is left of a file, whole or not at all, in the place of what is
        there."""
        source = io.BytesIO(data) if isinstance(data, bytes) else data
        if self.is_store:
            with self.fs.open_output_stream(path) as file:
                shutil.copyfileobj(source, file)
            return
        folder, _, _ = path.rpartition("/")
        self.fs.create_dir(folder, recursive=True)
        part = f"{folder}/{UNFINISHED}{uuid.uuid4().hex}"
        try:
            with self.fs.open_output_stream(part) as file:
                shutil.copyfileobj(source, file)
            self.fs.move(part, path)
        except BaseException:
            try:
                self.fs.delete_file(part)
            except (OSError, pa.ArrowException):
                pass
            raise

    @property
    def is_store(self):
        return self.fs.type_name.rpartition("+")[2].rpartition(":")[2] in _STORES

    def shown(self, path):
        """A path as a person would write it."""
        if "://" not in self.uri:
            return path
        return f"{self.uri.partition('://')[0]}://{path.lstrip('/')}"


def _opened(uri, filesystem):
    if filesystem is not None:
        path = uri.partition("://")[2] if "://" in uri else uri
        if not isinstance(filesystem, pafs.FileSystem):
            filesystem = pafs.PyFileSystem(pafs.FSSpecHandler(filesystem))
        return filesystem, path
    if "://" not in uri:
        return pafs.LocalFileSystem(), os.path.abspath(uri)
    quoted = _quoted(uri)
    try:
        if quoted.startswith("s3://"):
            try:
                # One put for a small object. Else it is sent in parts, of which a process that ends
                # leaves some.
                sign = "&" if "?" in quoted else "?"
                return pafs.FileSystem.from_uri(f"{quoted}{sign}allow_delayed_open=true")
            except pa.ArrowInvalid:
                pass
        return pafs.FileSystem.from_uri(quoted)
    except (pa.ArrowInvalid, ImportError):
        # A scheme that Arrow does not know.
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(uri)
        return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path


def _quoted(uri):
    # A pattern's signs are none of a URI.
    return re.sub(r"[\[\]]", lambda sign: f"%{ord(sign[0]):02X}", uri)


class Source:
    """Pictures of a folder, of a pattern such as ``s3://bucket/**/*.jpg``, or a single file."""

    def __init__(self, uri, filesystem=None):
        uri = os.fspath(uri)
        self.place = Place(uri, filesystem)
        whole = self.place.path
        fixed = re.split(r"[*?\[]", whole, maxsplit=1)[0]
        self.is_pattern = fixed != whole and self.place.info().type == pafs.FileType.NotFound
        self.root = fixed.rpartition("/")[0] or "/" if self.is_pattern else whole

    def pictures(self, without, is_wanted=None):
        """Of each picture: its file and its name below the source. Also the names of files that are
        of another kind. What is below the folder ``without`` of the same file system is left out.
        ``is_wanted`` says by its name what counts as a picture."""
        is_wanted = is_wanted or _is_picture
        if self.is_pattern:
            import fsspec.utils

            matches = re.compile(fsspec.utils.glob_translate(self.place.path)).fullmatch
            files = [file for file in self.place.files(self.root) if matches(file.path)]
        else:
            info = self.place.info()
            if info.type == pafs.FileType.NotFound and not self.place.is_store:
                raise FileNotFoundError(f"{self.place.uri}: there is no such file or folder")
            if info.type == pafs.FileType.File:
                name = info.path.rpartition("/")[2]
                return [(info, name)], []
            files = self.place.files()
        inside = without.path + "/" if without.fs.equals(self.place.fs) else None
        pictures, others = [], []
        for file in files:
            name = file.path[len(self.root) :].lstrip("/")
            hidden = any(part.startswith(".") or part == OWN for part in name.split("/"))
            if hidden or (inside and file.path.startswith(inside)):
                continue
            (pictures if is_wanted(name) else others).append((file, name))
        return pictures, [name for _, name in others]


def _is_picture(name):
    return _native.is_written(name) or name.rpartition(".")[2].lower() in _OTHERS


def result_name(name):
    """The name of a picture's result: its own, with ``.png`` behind one that is not written."""
    return name if _native.is_written(name) else name + ".png"
