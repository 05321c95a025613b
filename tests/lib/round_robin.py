#!/usr/bin/env python3
"""A load balancer without any affinity: consecutive requests go to different replicas, also those of one connection.

    round_robin.py [--listen HOST:PORT] REPLICA…

REPLICA is HOST:PORT. The first line on standard output is `listening on http://HOST:PORT`; it ends at SIGTERM. HTTP/1.1 with
keep-alive on both sides; bodies are streamed and never held, whatever frames them. A replica that refuses the
connection is passed over, so that replicas can be killed and started again behind it; a request that was already sent is
never sent twice: its client gets 502, or a cut connection once the answer has begun.
"""

import argparse
import asyncio
import itertools
import signal
import socket

# Longest request or response head, and longest chunk-size or trailer line.
HEAD = 64 * 1024
# Bytes taken from one side before they are handed to the other; also what each side buffers.
PIECE = 128 * 1024
# Seconds a client has to read an answer that came before its body was taken.
LINGER = 5
# Seconds for the last bytes of a body to be handed on when the answer is already there.
SETTLE = 0.02


class Gone(Exception):
    """A message ended before its end, or makes no sense."""


CUT = (Gone, ConnectionError, TimeoutError)


class Side:
    """One end of a connection, and what the message on it says about itself."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        writer.transport.set_write_buffer_limits(PIECE)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def head(self):
        """The first line and the header lines of the next message; None when the peer is done."""
        try:
            return Head(await self.reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise Gone("within a head") from None
            return None
        except (asyncio.LimitOverrunError, ValueError) as failure:
            raise Gone(str(failure)) from None

    async def line(self):
        try:
            return await self.reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as failure:
            raise Gone(str(failure)) from None

    async def piece(self, most):
        """Some bytes; none at the end."""
        try:
            return await self.reader.read(int(min(most, PIECE)))
        except ConnectionError as failure:
            raise Gone(str(failure)) from None

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def cut(self):
        self.writer.transport.abort()


class Head:
    def __init__(self, text):
        first, *lines = text[:-4].split(b"\r\n")
        self.words = first.split(b" ", 2)
        if len(self.words) < 2:
            raise ValueError(f"no first line: {first[:80]!r}")
        self.fields = [(name.strip().lower(), line) for line in lines for name in [line.partition(b":")[0]]]

    def value(self, name):
        return b",".join(line.partition(b":")[2].strip() for field, line in self.fields if field == name).lower()

    def closes(self):
        words = [word.strip() for word in self.value(b"connection").split(b",")]
        return b"close" in words or (b"HTTP/1.0" in self.words and b"keep-alive" not in words)

    def passed_on(self, *extra):
        """The same bytes but for the connection, which is ours on both sides."""
        kept = [line for field, line in self.fields if field not in (b"connection", b"keep-alive", b"proxy-connection")]
        return b"\r\n".join([b" ".join(self.words), *kept, *extra, b"", b""])

    def framing(self):
        """"chunked", a number of bytes, or None when nothing is said."""
        if self.value(b"transfer-encoding"):
            return "chunked"
        length = self.value(b"content-length")
        if length and not length.isdigit():
            raise Gone(f"no length: {length[:80]!r}")
        return int(length) if length else None


class Balancer:
    def __init__(self, replicas):
        self.replicas = replicas
        self.turn = itertools.count()
        self.idle = {replica: [] for replica in replicas}

    async def serve(self, reader, writer):
        client = Side(reader, writer)
        try:
            while request := await client.head():
                if not await self.exchange(client, request):
                    break
            writer.close()
            await writer.wait_closed()
        except (*CUT, asyncio.CancelledError):
            # Cancelled: the balancer ends.
            client.cut()

    async def exchange(self, client, request):
        """One request and its answer; returns whether the client's connection can take another."""
        replica, server = await self.connect()
        if server is None:
            await client.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        framing = request.framing() or 0
        upload, answered, reusable = None, False, False
        try:
            await server.send(request.passed_on())
            upload = asyncio.create_task(copy(client, server, framing))
            if not framing:
                await upload
            response = await self.first_answer(client, server, upload)
            answered = True
            if not upload.done():
                await asyncio.wait([upload], timeout=SETTLE)
            # What a client does with a body nobody asked for any more is unknown: no second request after it.
            early = not upload.done() or upload.exception() is not None
            body = self.framing(request, response)
            close = early or request.closes() or body is None
            await client.send(response.passed_on(*([b"Connection: close"] if close else [])))
            await copy(server, client, body)
            if early:
                await self.linger(client, upload)
            reusable = not early and not response.closes()
            return not close
        except CUT:
            if answered or failed(upload):
                raise
            await client.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        finally:
            await ended(upload)
            if reusable:
                self.idle[replica].append(server)
            else:
                server.cut()

    async def connect(self):
        """The next replica that takes a connection."""
        for _ in self.replicas:
            replica = self.replicas[next(self.turn) % len(self.replicas)]
            while self.idle[replica]:
                server = self.idle[replica].pop()
                if not server.reader.at_eof() and not server.writer.is_closing():
                    return replica, server
                server.cut()
            try:
                return replica, Side(*await asyncio.open_connection(*replica, limit=HEAD))
            except OSError:
                continue
        return None, None

    async def first_answer(self, client, server, upload):
        """The head of the final answer; interim ones are passed on. The body is on its way meanwhile."""
        while True:
            answer = asyncio.create_task(server.head())
            try:
                await asyncio.wait([answer, upload], return_when=asyncio.FIRST_COMPLETED)
                # A replica that takes no more of the body may still say why; a client that is gone is gone.
                if failed(upload):
                    raise Gone("the client left within its body")
                response = await answer
            finally:
                await ended(answer)
            if response is None:
                raise ConnectionResetError("the replica closed the connection instead of answering")
            if not response.words[1].startswith(b"1"):
                return response
            await client.send(response.passed_on())

    async def linger(self, client, upload):
        """Lets the client read an early answer: closing with unread bytes would reset the connection under it."""
        await ended(upload)
        client.writer.write_eof()
        try:
            async with asyncio.timeout(LINGER):
                while await client.piece(PIECE):
                    pass
        except CUT:
            pass

    @staticmethod
    def framing(request, response):
        """How the body of this answer ends; None: with the connection."""
        if request.words[0] == b"HEAD" or response.words[1] in (b"204", b"304"):
            return 0
        return response.framing()


async def copy(source, target, framing):
    """Hands on one body as it is framed. `Gone` when the source fails, `ConnectionError` when the target does."""
    if framing == "chunked":
        while True:
            line = await source.line()
            target.writer.write(line)
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise Gone(f"no chunk size: {line[:80]!r}") from None
            if size == 0:
                break
            await copy(source, target, size + 2)
        while line != b"\r\n":
            line = await source.line()
            target.writer.write(line)
        await target.writer.drain()
        return
    left = float("inf") if framing is None else framing
    while left:
        piece = await source.piece(left)
        if not piece and framing is not None:
            raise Gone("within a body")
        if not piece:
            return
        left -= len(piece)
        await target.send(piece)


def failed(upload):
    """Whether the client is what failed."""
    return upload is not None and upload.done() and not upload.cancelled() and isinstance(upload.exception(), Gone)


async def ended(task):
    if task and not task.done():
        task.cancel()
    if task:
        await asyncio.gather(task, return_exceptions=True)


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--listen", type=address, default=("127.0.0.1", 0), metavar="HOST:PORT")
    arguments.add_argument("replicas", type=address, nargs="+", metavar="REPLICA")
    chosen = arguments.parse_args()
    server = await asyncio.start_server(Balancer(chosen.replicas).serve, *chosen.listen, limit=HEAD, backlog=512)
    print("listening on http://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
