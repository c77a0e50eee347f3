"""From an Airflow connection to the API client."""

from __future__ import annotations

import json

import pytest

from include.ingest.api import ApiAccess, ApiError
from include.ingest.connections import api_access

TELEMETRY = "fleet.machine_telemetry"


def connect(monkeypatch: pytest.MonkeyPatch, **fields: object) -> None:
    connection = json.dumps({"conn_type": "http", **fields})
    monkeypatch.setenv("AIRFLOW_CONN_FLEET_API", connection)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "127.0.0.1", "port": 8080}, "http://127.0.0.1:8080"),
        ({"host": "api.example.com", "schema": "https"}, "https://api.example.com"),
        ({"host": "https://api.example.com"}, "https://api.example.com"),
    ],
)
def test_a_connection_gives_address_and_token(monkeypatch, fields, base_url):
    connect(monkeypatch, password="token", **fields)

    assert api_access(TELEMETRY) == ApiAccess(base_url, "token")


def test_a_missing_connection_means_nothing_to_fetch(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_FLEET_API", raising=False)

    assert api_access(TELEMETRY) is None


@pytest.mark.parametrize("fields", [{"host": "127.0.0.1"}, {"password": "secret-token"}])
def test_half_a_connection_is_a_sentence_without_the_token(monkeypatch, fields):
    connect(monkeypatch, **fields)

    with pytest.raises(
        ApiError, match="connection fleet_api needs a host and a password"
    ) as caught:
        api_access(TELEMETRY)

    assert "secret-token" not in str(caught.value)
