"""Free ports of the loopback interface."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that nothing listens on. They are held together, so that no two are the same."""
    sockets = [_bound(0) for _ in range(count)]
    try:
        return tuple(held.getsockname()[1] for held in sockets)
    finally:
        for held in sockets:
            held.close()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    try:
        _bound(port).close()
    except OSError:
        return False
    return True


def loopback() -> str:
    """Airflow's ``[core] hostname_callable``: logs are fetched from here, and no DNS is asked."""
    return LOOPBACK


def _bound(port: int) -> socket.socket:
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As servers do: without it a port whose last connection just closed looks taken.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((LOOPBACK, port))
    except OSError:
        held.close()
        raise
    return held
