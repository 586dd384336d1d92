"""Hosts that the target must not wait for: some ask for much and read nothing, some send half a PDU."""
import pathlib
import signal
import socket
import struct
import subprocess
import time

import tools

ASSOCIATIONS = 2
QUEUES = 2  # for each association, each a connection beside the Admin queue's
HALF_SENDERS = 2
PATIENCE_SECONDS = 30

IC_REQ = struct.pack("<BBBBI120x", 0, 0, 128, 0, 128)
HALF_COMMAND = struct.pack("<BBBBI28x", 4, 0, 72, 0, 72)  # 36 of 72 bytes


def unsent_bytes(port):
    """What the server's side of TCP connections to a local port could not get rid of."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(int(fields[4].split(":")[0], 16) for fields in map(str.split, lines) if fields[1].endswith(f":{port:04X}"))


def half_sender(port):
    made = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    made.sendall(IC_REQ)
    made.recv(len(IC_REQ), socket.MSG_WAITALL)
    made.sendall(HALF_COMMAND)
    return made


class StuckHosts:
    """Stuck inside the `with`, gone after it."""

    def __init__(self, tool, served):
        self.port = served.port
        self.command = tool.load_command(served) + [
            "--connections", str(ASSOCIATIONS), "--queues", str(QUEUES), "--depth", "32", "--block-size", "128KiB",
            "--keep-alive", "0", "--cpu", str(tools.CLIENT_CPU), "--duration", "3600"]

    def __enter__(self):
        self.halves = [half_sender(self.port) for _ in range(HALF_SENDERS)]
        self.reader = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connections = ASSOCIATIONS * (1 + QUEUES) + HALF_SENDERS
        self._await("connect", lambda: tools.established(self.port) >= connections and unsent_bytes(self.port) > 0)
        # Its replies are many times what the sockets can hold.
        self.reader.send_signal(signal.SIGSTOP)
        self._await("block the target", lambda: unsent_bytes(self.port) > 0)
        return self

    def __exit__(self, kind, value, trace):
        self.reader.kill()
        self.reader.wait()
        for half in self.halves:
            half.close()

    def _await(self, what, holds):
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if self.reader.poll() is not None or time.monotonic() > end:
                self.__exit__(None, None, None)
                raise tools.Failed(f"stuck hosts did not {what}")
            time.sleep(0.01)
