"""Certificates for tests, made with the openssl command: good ones and bad ones.

authority = Authority(tmp_path)
certificate = authority.issue("expired", days_left=-1)
certificate.server_context()        # for a server's side of TLS
authority.file                      # for the client's ca_file
"""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_THIS_MACHINE = "DNS:localhost,IP:127.0.0.1"
_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    file: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Speaks whatever the client wants."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context

    def outdated_context(self) -> ssl.SSLContext:
        """Speaks TLS 1.1 at most, as servers did that nobody has touched for ten years."""
        context = self.server_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context


class Authority:
    """A certificate authority of its own, below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.file = directory / "authority.pem"
        (directory / "index.txt").touch()
        (directory / "ca.conf").write_text(
            "[ca]\ndefault_ca = own\n[own]\n"
            f"database = {directory}/index.txt\nnew_certs_dir = {directory}\n"
            f"certificate = {self.file}\nprivate_key = {directory}/authority.key\n"
            "rand_serial = yes\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n"
            "unique_subject = no\n[any]\ncommonName = supplied\n"
        )
        self._openssl(
            f"req -x509 {_KEY} -days 2 -subj /CN=authority -addext keyUsage=critical,keyCertSign "
            f"-keyout {directory}/authority.key -out {self.file}"
        )

    def issue(
        self, name: str, *, names: str = _THIS_MACHINE, days_left: float = 1.0
    ) -> Certificate:
        """A certificate for the alternative `names`; it ends so many days from now."""
        made = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        request = self._directory / f"{name}.csr"
        end = datetime.now(UTC) + timedelta(days=days_left)
        self._openssl(
            f"req {_KEY} -subj /CN={name} -addext subjectAltName={names} "
            f"-keyout {made.key} -out {request}"
        )
        self._openssl(
            f"ca -batch -notext -config {self._directory}/ca.conf -in {request} -out {made.file} "
            f"-startdate {end - timedelta(days=9):%Y%m%d%H%M%SZ} -enddate {end:%Y%m%d%H%M%SZ}"
        )
        return made

    def self_signed(self, name: str) -> Certificate:
        """A certificate that nobody vouches for."""
        made = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        self._openssl(
            f"req -x509 {_KEY} -days 2 -subj /CN={name} -addext subjectAltName={_THIS_MACHINE} "
            f"-keyout {made.key} -out {made.file}"
        )
        return made

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], check=True, capture_output=True)
