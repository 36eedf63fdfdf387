"""Processes of a measurement: each on its core, each ended by its own number, none left behind."""

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

from pathlib import Path

PATIENCE = 40.0  # seconds; valgrind needs a few to start


# Asked to end, a script still ends what it started: the default would leave proxies and upstream behind.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Failure(Exception):
    """Something that the person at the keyboard has to mend; its text says what and how."""


def require(program, package=None):
    """The path of an installed program, or a clear word about what is missing."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Failure(f"{program} is not installed: this measurement needs it (Debian: apt-get install {package or program})")
    return path


def cores():
    """(core of the proxy, core of load and upstream): on one core they would measure each other."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failure("one processor core is not enough: the proxy needs one alone, load and upstream the other")
    return usable[0], usable[1]


def raise_open_files():
    """As many open files as the system grants: thousands of connections are held."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# Dozens of processes in one run: a port that was given and not bound yet, or whose folder stands, must not come again.
GIVEN = set()


def free_port():
    """A port nobody listens on, below the range that the kernel gives to outgoing connections; each is given once."""
    for _ in range(1000):
        port = random.randrange(20000, 30000)
        if port in GIVEN:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            GIVEN.add(port)
            return port
    raise Failure("no free port between 20000 and 30000")


class Process:
    """A running program; a context manager that stops it whatever happens."""

    def __init__(self, name, command, log, core=None, stop_signal=signal.SIGTERM, environment=None):
        self.name, self.log, self.stop_signal = name, Path(log), stop_signal
        pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
        with open(self.log, "wb") as output:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=pin,
                env={**os.environ, **(environment or {})},
            )
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def wait_for_answer(self, port):
        """Waits for a 200 on the port: the whole way to the upstream stands then."""
        deadline = time.monotonic() + PATIENCE
        seen = "nothing"
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise Failure(f"{self.name} ended with status {self.child.returncode} before it answered:\n{self.said()}")
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
                    stream.sendall(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    seen = stream.recv(4096).split(b"\r\n")[0].decode("latin-1")
                    if " 200" in seen:
                        return self
            except OSError as error:
                seen = str(error)
            time.sleep(0.01)
        raise Failure(f"{self.name} gave no 200 on port {port} within {PATIENCE:.0f} s (last: {seen}):\n{self.said()}")

    def wait_until_listening(self, port):
        """Waits until the port takes connections."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise Failure(f"{self.name} ended with status {self.child.returncode} before it listened:\n{self.said()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise Failure(f"{self.name} does not listen on port {port} after {PATIENCE:.0f} s:\n{self.said()}")

    def stop(self):
        """Ends the program as its operator would, so that it writes what it writes on a normal exit."""
        self.child.send_signal(self.stop_signal)
        try:
            self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {PATIENCE:.0f} s after {self.stop_signal.name}:\n{self.said()}")

    def said(self):
        """The last of what it wrote."""
        return self.log.read_text(errors="replace")[-2000:] or "(it wrote nothing)"

    def resident(self):
        """Resident memory in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failure(f"{self.name} has no resident memory: it has ended:\n{self.said()}")


def fail(error):
    """Ends a script with the failure's text and status 1."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
