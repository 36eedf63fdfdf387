"""Reads streams of requests as Python's own HTTP server does, and says what it found: one JSON list a stream.

The file holds, for each stream, its length (eight bytes, little endian) and its bytes.
"""

import http.server
import json
import struct
import sys


class Incomplete(Exception):
    """The stream ends inside of a request."""


class Source:
    """A stream that tells its end from an empty line."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def readline(self, _limit=-1):
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Incomplete
        line, self.at = self.data[self.at : end + 1], end + 1
        return line

    def read(self, count):
        if len(self.data) - self.at < count:
            raise Incomplete
        piece, self.at = self.data[self.at : self.at + count], self.at + count
        return piece


class Handler(http.server.BaseHTTPRequestHandler):
    """Only the reading of a head."""

    protocol_version = "HTTP/1.1"

    def __init__(self, source):
        self.rfile = source

    def handle_expect_100(self):
        return True

    def send_error(self, code, message=None, explain=None):
        raise ValueError(f"{code} {message}")


def chunks(source):
    length = 0
    while True:
        size = int(source.readline().split(b";")[0], 16)
        if size == 0:
            while source.readline() not in (b"\r\n", b"\n"):
                pass
            return length
        source.read(size)
        source.readline()
        length += size


def requests(data):
    source, found = Source(data), []
    while source.at < len(data):
        handler = Handler(source)
        try:
            handler.raw_requestline = source.readline()
            if not handler.parse_request():
                raise ValueError("not read")
            every = lambda name: [value.strip(" \t") for value in handler.headers.get_all(name, [])]
            lengths, codings = every("Content-Length"), every("Transfer-Encoding")
            if codings:
                framing, length = "Chunked", chunks(source)
            elif lengths:
                framing, length = "Sized", len(source.read(int(lengths[0])))
            else:
                framing, length = "Absent", 0
        except Incomplete:
            break
        except ValueError as error:
            found.append(str(error))
            break
        if len(lengths) + len(codings) > 1:
            framing = "several"
        found.append([handler.command, every("Authorization"), every("X-Grafana-Org-Id"), framing, length])
    return found


def main():
    with open(sys.argv[1], "rb") as file:
        while prefix := file.read(8):
            print(json.dumps(requests(file.read(struct.unpack("<Q", prefix)[0]))))


main()
