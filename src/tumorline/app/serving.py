"""Runs the app on a port of this machine, or of all the network where that was asked for."""

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import urlencode

from tumorline.app.catalogue import name_models
from tumorline.app.door import Door, is_address
from tumorline.app.limits import Limits
from tumorline.errors import UserError, require_extra
from tumorline.progress import Notify

HERE = "127.0.0.1"
CONNECTIONS = 128
"""At most, those that wait for a place included."""


@dataclass(frozen=True)
class ServerOptions:
    """As the command line gives them."""

    models: tuple[Path, ...] = ()
    runs: Path | None = None
    host: str = HERE
    port: int = 8765
    hosts: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    token: str = ""
    """Empty: one is made where the network is served."""
    no_token: bool = False
    limits: Limits = field(default_factory=Limits)


def serve(options: ServerOptions, say: Notify) -> None:
    """Answer until a signal asks to stop; `say` hears the address first.

    Raises UserError where the extra is not installed, a model or folder is not there, and where the port is taken.
    """
    require_extra("fastapi", "the app", "app")
    require_extra("uvicorn", "the app", "app")
    require_extra("python_multipart", "the app", "app")
    import uvicorn

    from tumorline.app.connections import HastyProtocol
    from tumorline.app.server import create_app
    from tumorline.app.state import AppSettings

    if options.runs and not options.runs.is_dir():
        raise UserError(f"{options.runs}: no such folder; --runs is the folder in which run folders lie")
    models = name_models(list(options.models))
    door = make_door(options)
    settings = AppSettings(models, next(iter(models), "builtin"), options.runs, door, options.limits)
    with open_socket(options.host, options.port) as listening:
        config = uvicorn.Config(
            create_app(settings),
            http=HastyProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=3,
        )
        for line in describe_start(options, door, listening.getsockname()[1]):
            say(line)
        uvicorn.Server(config).run(sockets=[listening])


def make_door(options: ServerOptions) -> Door:
    """Whoever serves a network asks for a token, unless told not to."""
    token = options.token
    if options.no_token and token:
        raise UserError("--token and --no-token exclude one another")
    if not (token.isascii() and token.isprintable()):
        raise UserError("--token: only letters, digits and signs of ASCII can be sent as a token; choose another")
    if not token and not options.no_token and not is_loopback(options.host):
        token = token_urlsafe(24)
    named = () if is_address(options.host) else (options.host,)
    return Door(token, (*options.hosts, *named), options.frames)


def is_loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def family_of(host: str) -> socket.AddressFamily:
    """Of an address; a name is looked up. Raises OSError for one that nobody knows."""
    if is_address(host):
        return socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]


def open_socket(host: str, port: int) -> socket.socket:
    """Raises UserError where nothing can listen there."""
    try:
        family = family_of(host)
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except (OSError, UnicodeError) as error:  # the latter of what is no name at all
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{host}:{port}: cannot be served ({reason}); choose another --port or --host") from None


def describe_start(options: ServerOptions, door: Door, port: int) -> list[str]:
    """Where the app is, and who may use it."""
    shown = {"0.0.0.0": HERE, "::": "[::1]"}.get(options.host, options.host)
    address = f"http://{f'[{shown}]' if ':' in shown and '[' not in shown else shown}:{port}/"
    query = f"?{urlencode({'token': door.token})}" if door.token else ""
    lines = [f"Tumorline is at {address}{query}  (Ctrl-C ends it)"]
    if not is_loopback(options.host):
        who = "whoever has the token" if door.token else "ANYBODY who reaches this port"
        lines.append(f"open to the network: {who} can use it; what is sent is not encrypted")
    return lines
