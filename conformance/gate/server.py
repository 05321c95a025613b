"""One artifactstore process on a free loopback port with a data directory of its own, and several behind a balancer."""

import contextlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from engines import Engine

BALANCER = Path(__file__).resolve().parents[2] / "tests" / "lib" / "round_robin.py"
START_SECONDS = 30
STOP_SECONDS = 30


class ServerError(Exception):
    """The server did not start, or did not stop the way it promises."""


class Registry:
    """Context manager: one registry on fresh engines, as one server or as several replicas of it.

    `address` is host:port inside the block. With replicas it is a balancer that sends consecutive requests to
    different ones.
    """

    def __init__(self, binary, engine, replicas, *flags):
        self.binary, self.flags = binary, flags
        self.engine, self.replicas = engine, replicas
        self.address = None

    def __enter__(self):
        with contextlib.ExitStack() as parts:
            settings = parts.enter_context(Engine(self.engine)).settings
            command = [self.binary, "serve", "--listen", "127.0.0.1:0", *self.flags]
            running = [parts.enter_context(Process("server", command, settings)) for _ in range(self.replicas)]
            if self.replicas > 1:
                addresses = [server.address for server in running]
                running.append(parts.enter_context(Process("balancer", [sys.executable, BALANCER, *addresses])))
            self.address = running[-1].address
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *failure):
        return self._parts.__exit__(*failure)


class Process:
    """Context manager of a process that says where it listens; leaving it checks the clean exit.

    The exit is checked only when the block itself succeeded, so that a failing suite is
    reported as such and not as a server that was still busy. A server gets a data directory of its own.
    """

    def __init__(self, name, command, settings=None):
        self.name, self.command, self.settings = name, command, settings
        self.address = None

    def __enter__(self):
        self._dir = tempfile.TemporaryDirectory(prefix="artifactstore-conformance-")
        self._log = open(Path(self._dir.name) / "log", "w+", errors="replace")
        data = [] if self.settings is None else ["--data", Path(self._dir.name) / "data"]
        # The server refuses settings it does not know, and a test wants none of the caller's.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ARTIFACTSTORE_")}
        self._process = subprocess.Popen(
            [*self.command, *data], env=kept | (self.settings or {}),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )
        try:
            self.address = self._await_address()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind, *_):
        early = self._process.poll()
        code = self._end()
        log = self._tail
        if kind is None and early is not None:
            raise ServerError(f"{self.name} died with exit code {early} during the run\n{log}")
        if kind is None and code != 0:
            raise ServerError(f"{self.name} exited with {code} after SIGTERM, expected 0\n{log}")

    def _await_address(self):
        lines = queue.Queue()

        def drain():
            for line in self._process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=drain, daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=START_SECONDS)
            except queue.Empty:
                raise ServerError(f"{self.name}: no `listening on` line within {START_SECONDS} s\n{self._read_log()}") from None
            if line is None:
                raise ServerError(f"{self.name} ended before it listened\n{self._read_log()}")
            if found := re.match(r"listening on http://(\S+)$", line.strip()):
                return found[1]

    def _end(self):
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = f"nothing within {STOP_SECONDS} s (killed)"
        self._tail = self._read_log()
        self._log.close()
        self._dir.cleanup()
        return code

    def _read_log(self):
        self._log.seek(0)
        return f"log of the {self.name}, last lines:\n" + "".join(self._log.readlines()[-40:])
