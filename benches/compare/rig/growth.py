"""What grows, and how it is measured: each point is a process of its own, all stay alive, and get slices in turn."""

import contextlib
import time

from collections import defaultdict
from dataclasses import dataclass, field

from . import targets
from .load import slices
from .processes import raise_open_files
from .targets import NGINX, OURS

AGAIN = "again"  # a second process of ours with the base's load: what differs by less says nothing
ALONE, BESIDE = "one core", "two cores"

# Our buckets, and those of nginx, are all taken long before a million tokens have come: then nothing changes any more.
FULL = 300_000
FIRST, MANY = 1_000, 100_000
REFUSED = ("path=/api/refused", "status=401")
# Folding tells one refusal of a token a second to the log: each slice has to be the first in its second.
SECOND = 1.3


@dataclass
class Point:
    """One load, and what it is called."""

    label: str
    x: float
    load: tuple = ()  # TOKENS, DISTINCT, KEY=VALUE …
    primed: int = 0  # requests before the first slice
    workers: int = 1
    tick: str = ""  # what the axis calls it, where the label is too long


@dataclass
class Dimension:
    """What grows. Ratios are to the point called `base`, of the same program and round."""

    key: str
    title: str
    base: str
    points: list
    programs: tuple = (OURS, NGINX)
    again: bool = True
    # A further column, made of a slice and its point.
    more: tuple = ()
    found: dict = field(default_factory=dict)  # (program, label) → slices

    def point(self, label):
        """The point of this label."""
        return next(point for point in self.points if point.label == label)


@dataclass
class Rig:
    """Where it is measured."""

    binary: object
    upstream: int
    folder: str
    proxy_core: int
    load_core: int
    rounds: int
    slice_ms: int

    def make(self, program, workers=1):
        """A program that holds back at no number of connections that is measured here."""
        if program == NGINX:
            return targets.nginx(self.folder, self.upstream, raise_open_files(), keepalive=8192)
        return targets.ours(self.binary, self.upstream, workers=workers, more=["--http-max-in-flight", "10000"])

    def start(self, stack, program, point):
        """Starts one for a point, and sends what has to come before: (name, port, pid, load …)."""
        core = None if program == BESIDE else self.proxy_core
        target = self.make(NGINX if program == NGINX else OURS, point.workers)
        process = stack.enter_context(target.start(self.folder, core))
        running = (f"{program}|{point.label}", target.port, process.pid, *point.load)
        if point.primed:
            self.run([running], ["--requests", point.primed], warm_up=0)
        # It goes on with the tokens that have not come yet.
        return (*running, f"last={point.primed}")

    def run(self, running, options, warm_up=2):
        """Slices of each, by name."""
        return slices(running, self.load_core, options, warm_up, timeout=170)


def grouped(count):
    """`1 000 000`: a comma would part the load's words."""
    return f"{count:_}".replace("_", " ")


def size(count):
    """`64 KiB`, for the path that answers so many bytes."""
    return f"{count // 1024} KiB" if count < 1 << 20 else f"{count >> 20} MiB"


def dimensions():
    """All of them, in the order in which they are told."""
    sizes = [1 << 10, 10 << 10, 64 << 10, 256 << 10, 1 << 20, 10 << 20]
    # Ten million, of which one is distinct: the generator makes a token for each request, as at the other points.
    one = Point("1", 1, (10**7, 1))
    return [
        Dimension("connections", "connections", "64", [
            Point(grouped(count), count, (1, 1, f"connections={count}")) for count in (1, 4, 16, 64, 256, 1024, 4096)
        ]),
        Dimension("tokens", "tokens, each in turn", "1", [
            one, *(Point(grouped(10**power), 10**power, (10**power,), min(10**power, FULL), tick="10" + "³⁴⁵⁶"[power - 3])
                   for power in (3, 4, 5, 6))
        ]),
        Dimension("headers", "header lines of a request", "5", [
            Point(str(lines), lines, (1, 1, f"headers={lines - 5}")) for lines in (5, 10, 25, 50, 100)
        ]),
        Dimension("bodies", "body of an answer", "1 KiB", [
            Point(size(count), count, (1, 1, "connections=16", f"path=/size/{count}"),
                  tick=size(count).removesuffix(" KiB") if count > 1024 else "") for count in sizes
        ], more=("µs per MiB", lambda one, point: one.cost / point.x * (1 << 20))),
        Dimension("refusals", "refused by Grafana", "none", [
            Point("none", 0, (FIRST, FIRST)),
            Point(f"first {grouped(FIRST)}", 1, (FIRST, FIRST, *REFUSED)),
            Point(f"after {grouped(MANY)}", 2, (FIRST, FIRST, *REFUSED), MANY),
        ], again=False),
        Dimension("workers", "workers", "1", [Point("1", 1), Point("2", 2, workers=2)], (ALONE, BESIDE), again=False,
                  more=("per s", lambda one, _: one.rate)),
    ]


def measure(rig, dimension, without=()):
    """Fills in what was found."""
    dimension.programs = tuple(program for program in dimension.programs if program not in without)
    found = (refusals if dimension.key == "refusals" else growing)(rig, dimension)
    dimension.found = {tuple(name.split("|")): measured for name, measured in found.items()}
    return dimension


def growing(rig, dimension):
    """One process for each point."""
    with contextlib.ExitStack() as stack:
        wanted = [(program, point) for program in dimension.programs for point in dimension.points]
        if dimension.again:
            wanted.append((AGAIN, dimension.point(dimension.base)))
        running = [rig.start(stack, program, point) for program, point in wanted]
        return rig.run(running, ["--rounds", rig.rounds + 1, "--slice-ms", rig.slice_ms], warm_up=1)


def refusals(rig, dimension):
    """The first refusals of a process come once: each round has a new one, which has served, and has refused nothing."""
    found = defaultdict(list)
    with contextlib.ExitStack() as stack:
        none, first, many = dimension.points
        served = Point(first.label, first.x, none.load)
        lasting = [rig.start(stack, program, point) for point in (none, many) for program in dimension.programs]
        time.sleep(2 * SECOND)
        for turn in range(rig.rounds + 1):
            began = time.monotonic()
            with contextlib.ExitStack() as once:
                fresh = []
                for program in dimension.programs:
                    name, port, pid, *_ = rig.start(once, program, served)
                    rig.run([(name, port, pid, *none.load)], ["--requests", 5 * FIRST], warm_up=0)
                    fresh.append((name, port, pid, *first.load))
                running = [*lasting, *fresh]
                running = running[turn % len(running):] + running[:turn % len(running)]
                # What tells of refusals is another thread: it has a moment to end what the answers did not wait for.
                measured = rig.run(running, ["--requests", FIRST, "--settle-ms", 60], warm_up=0)
            for name, one in measured.items():
                found[name] += one if turn else []
            time.sleep(max(0, SECOND - (time.monotonic() - began)))
    return found
