"""One artifactstore process on a free loopback port with a data directory of its own."""

import os
import queue
import re
import subprocess
import tempfile
import threading
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 30


class ServerError(Exception):
    """The server did not start, or did not stop the way it promises."""


class Server:
    """Context manager: `address` is host:port inside the block; leaving it checks the clean exit.

    The exit is checked only when the block itself succeeded, so that a failing suite is
    reported as such and not as a server that was still busy.
    """

    def __init__(self, binary, *flags):
        self.binary = binary
        self.flags = flags
        self.address = None

    def __enter__(self):
        self._dir = tempfile.TemporaryDirectory(prefix="artifactstore-conformance-")
        self._log = open(Path(self._dir.name) / "server.log", "w+", errors="replace")
        # The server refuses settings it does not know, and a test wants none of the caller's.
        self._process = subprocess.Popen(
            [self.binary, "serve", "--listen", "127.0.0.1:0", "--data", Path(self._dir.name) / "data", *self.flags],
            env={k: v for k, v in os.environ.items() if not k.startswith("ARTIFACTSTORE_")},
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
            raise ServerError(f"server died with exit code {early} during the run\n{log}")
        if kind is None and code != 0:
            raise ServerError(f"server exited with {code} after SIGTERM, expected 0\n{log}")

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
                raise ServerError(f"no `listening on` line within {START_SECONDS} s\n{self._read_log()}") from None
            if line is None:
                raise ServerError(f"server ended before it listened\n{self._read_log()}")
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
        return "server log, last lines:\n" + "".join(self._log.readlines()[-40:])
