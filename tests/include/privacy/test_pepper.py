"""Where the pepper comes from, and what is said when there is none."""

from __future__ import annotations

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.privacy.pepper import PepperError, read_pepper
from include.settings import PepperConnection, PepperFile

SECRET = bytes(range(100, 132))
CONNECTION = PepperConnection(connection_id="privacy")


def connect(monkeypatch: pytest.MonkeyPatch, password: str, **extra: object) -> None:
    connection = {"conn_type": "generic", "password": password, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_PRIVACY", json.dumps(connection))


def test_a_laptop_has_a_pepper_of_its_own_that_only_its_user_reads(tmp_path: Path) -> None:
    settings = PepperFile(path=tmp_path / "privacy" / "pepper")
    first, again = read_pepper(settings), read_pepper(settings)
    other = read_pepper(PepperFile(path=tmp_path / "other"))
    assert first == again
    assert first.secret != other.secret
    assert stat.S_IMODE(settings.path.stat().st_mode) == 0o600
    assert list(settings.path.parent.iterdir()) == [settings.path]


def test_tasks_that_ask_at_once_get_one_pepper(tmp_path: Path) -> None:
    settings = PepperFile(path=tmp_path / "pepper")
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read_pepper, [settings] * 32))) == 1


def test_a_connection_gives_the_pepper_and_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, base64.b64encode(SECRET).decode(), version=7)
    pepper = read_pepper(CONNECTION)
    assert (pepper.version, pepper.secret) == (7, SECRET)


@pytest.mark.parametrize("password", ["", "hunter2", base64.b64encode(b"short").decode()])
def test_a_connection_without_a_real_pepper_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    connect(monkeypatch, password)
    with pytest.raises(PepperError, match="base64 of at least 32 bytes") as error:
        read_pepper(CONNECTION)
    assert not password or password not in str(error.value)


def test_a_version_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, base64.b64encode(SECRET).decode(), version="two")
    with pytest.raises(PepperError, match="a whole number from 1"):
        read_pepper(CONNECTION)


def test_a_missing_connection_is_an_error_that_says_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_PRIVACY", raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    with pytest.raises(PepperError, match=r"'privacy' .* docs/privacy.md"):
        read_pepper(CONNECTION)
