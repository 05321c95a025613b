#!/usr/bin/env python3
"""A database and a bucket of one's own on the running test services, as settings of the server.

    engines.py make production     prints a name, then one setting a line (ARTIFACTSTORE_…=…)
    engines.py make embedded       prints a name and no setting: the server's own defaults
    engines.py drop NAME           removes both; nothing happens for what is not there

Needs what `tests/services up` exports, and psql. The bucket is on Ceph RGW. As a module: `with Engine("production") as engine`.
"""

import os
import secrets
import subprocess
import sys
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from s3 import S3, S3Error  # noqa: E402

ENGINES = ("embedded", "production")
POSTGRES, BUCKETS = "ARTIFACTSTORE_TEST_POSTGRES", "ARTIFACTSTORE_TEST_S3_RGW"


class EngineError(Exception):
    """An engine that cannot be had, and what to do about it."""


class Engine:
    """`settings` inside the block are the variables of a server on fresh engines; they are gone afterwards."""

    def __init__(self, kind):
        self.kind = kind
        self.name = f"{kind}_{secrets.token_hex(6)}"
        self.settings = {}

    def __enter__(self):
        if self.kind == "production":
            self.settings = make(self.name)
        return self

    def __exit__(self, *_):
        if self.settings:
            drop(self.name)


def make(name):
    database = urllib.parse.urlsplit(variable(POSTGRES))
    bucket = urllib.parse.urlsplit(variable(BUCKETS))
    sql(f"CREATE DATABASE {name}")
    S3(bucket.geturl()).make(bucket_name(name))
    return {
        "ARTIFACTSTORE_DATABASE_URL": database._replace(path=f"/{name}").geturl(),
        "ARTIFACTSTORE_STORAGE_BACKEND": "s3",
        "ARTIFACTSTORE_STORAGE_S3_BUCKET": bucket_name(name),
        "ARTIFACTSTORE_STORAGE_S3_ENDPOINT": f"http://{bucket.hostname}:{bucket.port}",
        "ARTIFACTSTORE_STORAGE_S3_REGION": "us-east-1",
        "ARTIFACTSTORE_STORAGE_S3_PATH_STYLE": "true",
        "ARTIFACTSTORE_STORAGE_S3_ACCESS_KEY_ID": bucket.username,
        "ARTIFACTSTORE_STORAGE_S3_SECRET_ACCESS_KEY": bucket.password,
    }


def drop(name):
    # Servers that were killed a moment ago may still be connected.
    sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    server = S3(variable(BUCKETS))
    if bucket_name(name) in server.buckets():
        server.remove(bucket_name(name))


def bucket_name(name):
    return name.replace("_", "-")


def sql(statement):
    done = subprocess.run(
        ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-c", statement, variable(POSTGRES)], stdin=subprocess.DEVNULL,
        env=os.environ | {"PGOPTIONS": "-c client_min_messages=warning"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    if done.returncode != 0:
        raise EngineError(f"{statement}: {done.stderr.strip()}")


def variable(name):
    if value := os.environ.get(name):
        return value
    raise EngineError(f'{name} is not set; start the services with: eval "$(tests/services up DIR)"')


def main(action="", argument=""):
    match action, argument:
        case "make", ("embedded" | "production") as kind:
            engine = Engine(kind).__enter__()
            print(engine.name)
            for setting in engine.settings.items():
                print("=".join(setting))
        case "drop", name if name.startswith("production_"):
            drop(name)
        case "drop", name if name.startswith("embedded_"):
            pass
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (EngineError, S3Error, OSError) as failure:
        raise SystemExit(f"engines.py: {failure}") from None
