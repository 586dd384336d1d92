"""The TLS keys of a guest's kernel, and who shakes hands for it."""

import re

from lab.errors import Failed
from lab.host import Host
from lab.target import SUBSYSTEM


class TlsKeys:
    """As an administrator of a host deals with them. Of several for the same subsystem the kernel offers one, mostly the oldest."""

    def __init__(self, host: Host):
        self._host = host
        host.run("modprobe nvme-tcp && printf '[authenticate]\\nkeyrings=.nvme\\n' >> /etc/tlshd.conf")
        host.start("tlshd -s > /run/tlshd.log 2>&1")

    def generate(self, hmac: int) -> str:
        return self._host.run(f"nvme gen-tls-key --hmac={hmac}").strip()

    def insert(self, key: str, nqn: str = SUBSYSTEM, identity: int = 1) -> str:
        """Its ID, for `remove`."""
        said = self._host.run(f"nvme check-tls-key --insert --keyring=.nvme --identity={identity} --hostnqn={self._host.nqn} "
                              f"--subsysnqn={nqn} --keydata={key}")
        found = re.search(r"Inserted TLS key ([0-9a-f]+)", said)
        if not found:
            raise Failed(f"nvme check-tls-key says {said}")
        return f"0x{found.group(1)}"

    def remove(self, number: str) -> None:
        self._host.run(f"keyctl unlink {number} %:.nvme")

    def use(self, key: str, identity: int = 1) -> str:
        """That one alone from the next handshake on."""
        self.clear()
        return self.insert(key, identity=identity)

    def clear(self) -> None:
        self._host.run("keyctl clear %:.nvme")

    def may_be_of_sha384(self) -> bool:
        """Otherwise its TLS takes every key for one of SHA-256 (GnuTLS before 3.8.11)."""
        return self._host.attempt("grep -q gnutls_psk_allocate_client_credentials2 $(command -v tlshd)").code == 0
