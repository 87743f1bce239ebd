"""Who may come in: by which names the app may be called, and with which token."""

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Door:
    """Who may come in."""

    token: str = ""
    """Empty where none is asked for."""
    hosts: Sequence[str] = ()
    """Names by which the app may be called beside those of this machine; `*` for any."""
    frames: Sequence[str] = ()
    """Origins whose pages may show the app in a frame."""

    def knows_host(self, host: str) -> bool:
        """Whether a Host header holds an address, which no foreign name server can give, or a known name."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        names = {host.lower().rstrip(".") for host in self.hosts}
        return bool(name) and (name == "localhost" or is_address(name) or name in names or "*" in names)

    def accepts(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
