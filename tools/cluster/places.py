"""Where the long tests keep an album and its results: a folder, and an S3 server on loopback."""

import pyarrow
import pyarrow.parquet as pq

from album import results


class Folder:
    """A folder of this machine."""

    kind = "folder"

    def __init__(self, source, out):
        self.source, self.out = str(source), str(out)
        self.root, self._out = str(source), out

    def count(self):
        """How many results there are."""
        names = [path.relative_to(self._out) for path in self._out.rglob("*") if path.is_file()]
        return sum(name.parts[0][0] not in "._" and name.name[0] != "." for name in names)

    def results(self):
        return results(self._out)

    def rows(self):
        """The manifest, as dicts."""
        return pq.read_table(self._out / "_pentimento/manifest.parquet").to_pylist()

    def left_over(self):
        """Files that a finished run does not leave."""
        names = [path.name for path in self._out.rglob("*")]
        return [name for name in names if name.startswith((".pentimento-", "rows-"))]


class Bucket:
    """The same in the bucket of a moto server, which is a thread of this process."""

    kind = "S3"
    _server, _client, _number = None, None, 0

    def __init__(self, source):
        if Bucket._server is None:
            self._start(source)
        Bucket._number += 1
        self._prefix = f"out{Bucket._number}/"
        self.source = f"s3://photos/in{self._query}"
        self.out = f"s3://photos/{self._prefix}{self._query}"
        self.root = "s3://photos/in"

    @classmethod
    def _start(cls, source):
        import boto3
        from moto.server import ThreadedMotoServer

        cls._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        cls._server.start()
        host, port = cls._server.get_host_and_port()
        cls._query = f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1"
        url = f"http://{host}:{port}"
        cls._client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        cls._client.create_bucket(Bucket="photos")
        for name, data in results(source).items():
            cls._client.put_object(Bucket="photos", Key=f"in/{name}", Body=data)

    def _keys(self):
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket="photos", Prefix=self._prefix):
            for entry in page.get("Contents", []):
                yield entry["Key"][len(self._prefix) :]

    def _read(self, key):
        answer = self._client.get_object(Bucket="photos", Key=self._prefix + key)
        return answer["Body"].read()

    def count(self):
        return sum(not key.startswith("_pentimento/") for key in self._keys())

    def results(self):
        keys = [key for key in self._keys() if not key.startswith("_pentimento/")]
        return {key: self._read(key) for key in keys}

    def rows(self):
        data = self._read("_pentimento/manifest.parquet")
        return pq.read_table(pyarrow.BufferReader(data)).to_pylist()

    def left_over(self):
        names = [key.rpartition("/")[2] for key in self._keys()]
        return [name for name in names if name.startswith((".pentimento-", "rows-"))]
