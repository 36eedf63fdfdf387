"""How the targets of a part are set up: what they speak, and what they let pass."""

import subprocess

from dataclasses import dataclass
from pathlib import Path

from .processes import Failure, require


@dataclass(frozen=True)
class Setup:
    """One way to set up all of them."""

    name: str
    tls: bool = False
    http2: bool = False  # in the clear, with prior knowledge
    tunnel: bool = False
    limited: bool = False  # every request but the first is refused with 429

    @property
    def rate(self):
        """Requests in a second and at once."""
        return (1, 1) if self.limited else (1_000_000, 1_000_000)


PLAIN = Setup("plain")
TLS = Setup("tls", tls=True)
HTTP2 = Setup("http2", http2=True)
TUNNEL = Setup("tunnel", tunnel=True)
LIMITED = Setup("limited", limited=True)


@dataclass(frozen=True)
class Pair:
    """A certificate that all targets show, and its key."""

    certificate: Path
    key: Path
    both: Path


def pair(folder):
    """A fresh self-signed certificate for localhost."""
    folder = Path(folder)
    made = Pair(folder / "certificate.pem", folder / "key.pem", folder / "both.pem")
    if not made.both.exists():
        command = [require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", made.key, "-out", made.certificate]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"openssl makes no certificate: {done.stderr.strip()}")
        made.both.write_text(made.certificate.read_text() + made.key.read_text())
    return made
