#!/usr/bin/env python3
"""Test content made without a network, the same bytes on every run.

    fixture.py tree DIR     a directory tree of 200 files
    fixture.py image DIR    an OCI layout: one image of two layers, tag `image`
    fixture.py index DIR    an OCI layout: an index of two platforms, tag `index`
"""

import gzip
import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def noise(seed, size):
    """Bytes no compressor shrinks."""
    return hashlib.shake_128(seed.encode()).digest(size)


def tree(root):
    names = ["empty", "dir with spaces/file with spaces", "umlaut/äöü ß.txt", "日本語/証拠.txt", "emoji/🧾",
             "deep/a/b/c/d/e/f/leaf", "dots/.hidden", "dots/...three", "dots/-dash", "plus+and&more;'quote'"]
    names += [f"nested/{i % 7}/{i % 3}/file-{i:03}" for i in range(200 - len(names))]
    for i, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "empty":
            content = b""
        elif i % 5 == 0:
            content = b"the same bytes under many names\n"
        else:
            content = noise(name, 1 + (i * 997) % 40_000)
        path.write_bytes(content)
    (root / "nested/0/0").joinpath("file-000").write_bytes(noise("big", 3_000_000))
    count = sum(path.is_file() for path in root.rglob("*"))
    assert count == 200, count


class Layout:
    def __init__(self, root):
        self.root = root
        (root / "blobs/sha256").mkdir(parents=True)
        (root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, media_type, content, **more):
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    def json(self, media_type, value, **more):
        return self.blob(media_type, json.dumps(value, sort_keys=True).encode(), **more)

    def image(self, architecture):
        archives = [archive({"etc/motd": f"evidence for {architecture}\n".encode(), "bin/noise": noise(architecture, 6_000_000)}),
                    archive({"etc/second": b"second layer\n", "srv/name with spaces": b"x" * 70_000})]
        config = {
            "architecture": architecture, "os": "linux", "created": "2020-01-01T00:00:00Z",
            "config": {"Cmd": ["/bin/noise"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(a).hexdigest() for a in archives]},
            "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "fixture"} for _ in archives],
        }
        return self.json(IMAGE, {
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": self.json("application/vnd.oci.image.config.v1+json", config),
            "layers": [self.blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(a, 1, mtime=0)) for a in archives],
        }, platform={"architecture": architecture, "os": "linux"})

    def finish(self, tag, descriptor):
        descriptor = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}))


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in sorted({name.rsplit("/", 1)[0] for name in files}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1_577_836_800
            tar.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, 1_577_836_800
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def image(root):
    layout = Layout(root)
    layout.finish("image", layout.image(ARCHITECTURE))


def index(root):
    layout = Layout(root)
    images = [layout.image("amd64"), layout.image("arm64")]
    layout.finish("index", layout.json(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": images}))


if __name__ == "__main__":
    kind, where = sys.argv[1:]
    target = Path(where)
    target.mkdir(parents=True)
    {"tree": tree, "image": image, "index": index}[kind](target)
