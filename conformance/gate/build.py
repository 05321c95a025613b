"""Building what the gate needs: the server from this tree, the suites from the module proxy."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "tests" / ".cache" / "conformance"
PACKAGE = "github.com/opencontainers/distribution-spec/conformance"


class BuildError(Exception):
    """A build failed; the text is the tool's own output."""


class Unavailable(Exception):
    """The module proxy answered, and its answer is that it does not serve the pinned version."""


def server_binary():
    """The server under test. Without ARTIFACTSTORE_BIN cargo builds it, so that no stale binary is judged.

    Beside a test: with the same dependencies it is the binary that the tests have, and is built once.
    """
    if override := os.environ.get("ARTIFACTSTORE_BIN"):
        path = Path(override).resolve()
    else:
        done = subprocess.run(
            ["cargo", "build", "--bin", "artifactstore", "--test", "it"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode != 0:
            raise BuildError(f"cargo build failed\n{done.stdout}")
        target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
        path = ROOT / target / "debug" / "artifactstore"
    if not os.access(path, os.X_OK):
        raise BuildError(f"{path} is not an executable file")
    return path


def ginkgo_suite():
    module = ROOT / "conformance" / "ginkgo"
    return _cached(module, ["go", "test", "-c", "-o", "{out}", PACKAGE], os.environ.get("GOFLAGS", ""))


def redesigned_suite():
    module = ROOT / "conformance" / "dev"
    commit = pinned_version(module).rsplit("-", 1)[1]
    command = ["go", "build", "-ldflags", f"-X main.Version={commit}", "-o", "{out}", PACKAGE]
    try:
        return _cached(module, command, "-mod=mod")
    except BuildError as failure:
        if answer := _refusal(str(failure), pinned_version(module)):
            raise Unavailable(answer) from failure
        raise


def pinned_version(module):
    found = re.search(rf"{re.escape(PACKAGE)} (v\S+)", (module / "go.mod").read_text())
    if not found:
        raise BuildError(f"{module}/go.mod does not pin {PACKAGE}")
    return found[1]


def _refusal(output, version):
    """The proxy's own words when it refused this very version; None for every other failure.

    Only an HTTP answer about the pinned suite counts. An unreachable proxy, a missing
    dependency or a compile error must stay failures, or the gate could be switched off by
    pulling a cable.
    """
    pattern = rf"{re.escape(PACKAGE)}@\S*{re.escape(version)}\S*: reading (\S+): ((?:403|404|410) [^\n]*)(?:\n\s*server response: ([^\n]*))?"
    if found := re.search(pattern, output):
        return f"{found[1].split('/')[2]} answered {found[2]}" + (f", {found[3]}" if found[3] else "")
    return None


def _cached(module, command, flags):
    """Runs a go build on a copy of the module, keeping the binary under the hash of its pins."""
    pins = [path for name in ("go.mod", "go.sum") if (path := module / name).exists()]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in pins)).hexdigest()[:16]
    out = CACHE / f"{module.name}-{key}"
    if out.exists():
        return out
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="suite-") as work:
        for path in pins:
            shutil.copy(path, work)
        built = Path(work) / "suite"
        done = subprocess.run(
            [part.format(out=built) for part in command],
            cwd=work, env=_go_env(flags), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode != 0:
            raise BuildError(f"{' '.join(command[:2])} of conformance/{module.name} failed\n{done.stdout}")
        staged = out.with_suffix(".new")
        shutil.copy(built, staged)
        staged.rename(out)
    return out


def _go_env(flags):
    """The proxy only, never `direct`: the pin names what the proxy serves, and a git fetch that
    happens to work on one machine would make the verdict depend on the machine."""
    proxy = subprocess.run(["go", "env", "GOPROXY"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    kept = [part for part in re.split(r"[,|]", proxy) if part not in ("direct", "")]
    return os.environ | {
        "GOPROXY": ",".join(kept) or "off",
        "GOFLAGS": flags,
        "CGO_ENABLED": "0",
        "GOWORK": "off",
    }
