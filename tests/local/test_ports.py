from __future__ import annotations

import socket

from deploy.local.ports import LOOPBACK, free_ports, is_free


def test_ports_that_are_found_together_differ_and_can_be_listened_on() -> None:
    ports = free_ports(5)

    assert len(set(ports)) == 5
    assert all(is_free(port) for port in ports)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not is_free(server.getsockname()[1])
