"""Calls of the load generator, and what its lines say."""

import os
import statistics
import subprocess

from collections import defaultdict
from dataclasses import dataclass

from .processes import Failure
from .targets import tool


@dataclass
class Slice:
    """What one slice measured."""

    requests: int
    errors: int
    wall: int  # nanoseconds
    processor: int  # nanoseconds of the target
    median: int  # nanoseconds
    late: int  # nanoseconds, 99th percentile
    received: int  # bytes
    sent: int  # bytes

    @property
    def cost(self):
        """Processor microseconds for one request."""
        return self.processor / self.requests / 1000

    @property
    def rate(self):
        """Requests in a second."""
        return self.requests / self.wall * 1e9

    @property
    def busy(self):
        """Share of the core that the target used."""
        return self.processor / self.wall


def slices(targets, core=None, options=(), warm_up=1, allow_errors=0, timeout=60):
    """Runs the generator over `(name, port, pid, tokens)` and gives name → slices, one a round, warm-up left out."""
    command = [str(tool("load"))]
    for target in targets:
        command += ["--target", ",".join(str(part) for part in target)]
    command += [str(option) for option in options]
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=pin, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failure(f"the load generator did not end within {timeout} s") from None
    if done.returncode != 0:
        raise Failure(f"the load generator failed: {done.stderr.strip()}")
    found = defaultdict(list)
    for line in done.stdout.splitlines():
        turn, name, *numbers = line.split("\t")
        measured = Slice(*(int(number) for number in numbers))
        if measured.errors > allow_errors or not measured.requests and not allow_errors:
            raise Failure(f"{name}: {measured.errors} of {measured.requests} requests failed: {done.stderr.strip()}")
        if int(turn) >= warm_up:
            found[name].append(measured)
    return found


@dataclass
class Spread:
    """A median with its quartiles."""

    low: float
    median: float
    high: float

    def show(self, digits=2):
        """`0.93 (0.91–0.96)`."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values):
    """Median and quartiles of some values."""
    values = list(values)
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, statistics.median(values), high)


def ratios(of, to, what):
    """The ratio of each round: bursts of noise that hold on for seconds fall on both of its sides."""
    return spread(what(one) / what(other) for one, other in zip(of, to))
