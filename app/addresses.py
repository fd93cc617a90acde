"""Where a server listens."""

import os
import socket
from ipaddress import ip_address

from lect.engine.contract.errors import UsageError

PORTS = 40  # tried from the first on


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is only reachable from this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int | None, first: int) -> tuple[socket.socket, str]:
    """A socket at the port that was named, or at the first free one from `first` on; and its URL.

    Raises UsageError when there is none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in [port] if port is not None else range(first, first + PORTS):
        # With the protocol named, asyncio sends at once; else each answer in parts waits 40 ms for the client's ACK.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":  # there, it would share the port with whoever has it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except OSError as error:
            listener.close()
            problem = error
        except OverflowError as error:
            raise UsageError(f"{port} is no port: name one from 1 to 65535.") from error
        else:
            listener.listen()
            shown = f"[{host}]" if ":" in host else host
            return listener, f"http://{shown}:{listener.getsockname()[1]}"
    where = f"port {port}" if port is not None else f"a port from {first} to {first + PORTS - 1}"
    raise UsageError(f"{host} gives no {where} ({problem.strerror}): name another with --port, or another --host.")
