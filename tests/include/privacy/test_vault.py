"""The vault gives a value back to the command alone, and never without a row in the audit table."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cryptography.fernet import Fernet, MultiFernet

from include.contracts import Masking, MaskingStrategy, SourceContract, load_catalog
from include.ingest.conform import conform_batch
from include.lake import DiskLake
from include.privacy import detokenise as command
from include.privacy.vault import VaultError, find_value, seal_values, vault_key, vault_keys
from include.quality.store import open_store
from include.settings import PepperConnection, Settings, current_settings, load_settings
from include.warehouse import WarehouseError
from tests.include.ingest.conforming import LIMITS, PEPPER, SALES_HEADER, landed_file, sales_line

CONTRACT = "fleet.sales"
CARD = "4111111111111111"
TOKEN, OTHER_TOKEN, UNKNOWN_TOKEN = (f"t1:{digit * 32}" for digit in "abc")
OLD_KEY, NEW_KEY = (Fernet.generate_key().decode() for _ in range(2))
FIRST = MultiFernet([Fernet(OLD_KEY)])
ROTATED = MultiFernet([Fernet(NEW_KEY), Fernet(OLD_KEY)])


CONNECTED = PepperConnection(connection_id="privacy_vault")


def keep_values(
    lake: DiskLake, keys: MultiFernet, batch_id: str, values: list[tuple[str, str]]
) -> str:
    key = vault_key(lake, CONTRACT, batch_id)
    with lake.scratch() as scratch:
        seal_values(scratch / "vault.parquet", keys, values)
        lake.put_file(scratch / "vault.parquet", key)
    return key


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"VENDING_DATA_DIR": str(tmp_path)})


@pytest.fixture
def lake(tmp_path: Path) -> DiskLake:
    return DiskLake(tmp_path)


def ask(settings: Settings, lake: DiskLake, token: str, reason: str = "ticket 4711") -> str:
    return command.detokenise(settings, lake, FIRST, token, actor="ann", reason=reason)


def audit(settings: Settings) -> list[tuple]:
    with open_store(settings.warehouse) as store:
        return store.fetch("SELECT actor, action, subject, reason FROM ops.privacy_audit")


def test_a_value_comes_back_for_its_token_and_lies_nowhere_readable(settings, lake) -> None:
    key = keep_values(lake, FIRST, "b1", [(TOKEN, CARD), (OTHER_TOKEN, "other")])

    assert ask(settings, lake, TOKEN) == CARD
    assert CARD.encode() not in lake.read_bytes(key)
    assert key.startswith("vault/")


def test_who_asked_for_what_and_why_is_written_down(settings, lake) -> None:
    keep_values(lake, FIRST, "b1", [(TOKEN, CARD)])

    ask(settings, lake, TOKEN, f"complaint of 090-1234-5678, {CARD}")

    assert audit(settings) == [
        ("ann", "detokenised", TOKEN, "complaint of [masked:phone], [masked:card]")
    ]


def test_a_request_for_a_token_that_is_not_there_is_written_down_too(settings, lake) -> None:
    with pytest.raises(VaultError, match="No batch in the vault holds this token"):
        ask(settings, lake, UNKNOWN_TOKEN)

    assert audit(settings) == [("ann", "detokenised", UNKNOWN_TOKEN, "ticket 4711")]


def test_nothing_is_shown_when_the_request_cannot_be_written_down(settings, lake) -> None:
    keep_values(lake, FIRST, "b1", [(TOKEN, CARD)])
    settings.warehouse.path.write_bytes(b"damaged")

    with pytest.raises(WarehouseError):
        ask(settings, lake, TOKEN)


def test_without_a_reason_nothing_is_done(settings, lake) -> None:
    with pytest.raises(VaultError, match="reason"):
        ask(settings, lake, TOKEN, reason=" x ")

    assert not settings.warehouse.path.exists()


@pytest.mark.parametrize("value", [CARD, "t1:0123", f"{TOKEN} {CARD}", ""])
def test_what_is_no_token_is_refused_and_not_written_down(settings, lake, value) -> None:
    with pytest.raises(VaultError, match="That is no token") as refused:
        ask(settings, lake, value)

    assert CARD not in str(refused.value)
    assert not settings.warehouse.path.exists()


def test_a_new_key_seals_and_the_old_one_still_opens(lake) -> None:
    keep_values(lake, FIRST, "b1", [(TOKEN, "old")])
    keep_values(lake, ROTATED, "b2", [(OTHER_TOKEN, "new")])

    assert find_value(lake, ROTATED, TOKEN) == "old"
    assert find_value(lake, ROTATED, OTHER_TOKEN) == "new"
    with pytest.raises(VaultError, match="put the earlier key back"):
        find_value(lake, FIRST, OTHER_TOKEN)


def test_a_batch_that_is_conformed_again_replaces_its_file(lake) -> None:
    for _ in range(2):
        keep_values(lake, FIRST, "b1", [(TOKEN, CARD)])

    assert len(list(lake.list("vault"))) == 1


def connect(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    connection = json.dumps({"conn_type": "generic", "password": password})
    monkeypatch.setenv("AIRFLOW_CONN_PRIVACY_VAULT", connection)


def test_keys_come_from_the_connection_the_newest_first(lake, monkeypatch) -> None:
    keep_values(lake, FIRST, "b1", [(TOKEN, CARD)])

    connect(monkeypatch, f"{NEW_KEY}, {OLD_KEY}")

    assert find_value(lake, vault_keys(CONNECTED), TOKEN) == CARD


@pytest.mark.parametrize("password", ["", "short", f"{'A' * 43}=,short"])
def test_a_malformed_connection_is_told_without_its_content(monkeypatch, password) -> None:
    connect(monkeypatch, password)

    with pytest.raises(VaultError, match="must be keys of Fernet") as refused:
        vault_keys(CONNECTED)
    assert "short" not in str(refused.value)


def test_a_connection_that_does_not_exist_is_named(monkeypatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_PRIVACY_VAULT", raising=False)

    with pytest.raises(VaultError, match="'privacy_vault' with the keys of the vault does not"):
        vault_keys(CONNECTED)


def test_the_command_prints_the_value_alone(settings, lake, monkeypatch, capsys) -> None:
    keep_values(lake, vault_keys(settings.vault), "b1", [(TOKEN, CARD)])
    current_settings.cache_clear()
    monkeypatch.setenv("VENDING_DATA_DIR", str(settings.lake.root))

    assert command.main([TOKEN, "--reason", "ticket 4711"]) == 0
    assert capsys.readouterr().out == f"{CARD}\n"
    assert command.main([UNKNOWN_TOKEN, "--reason", "ticket 4711"]) == 1
    assert "No batch" in capsys.readouterr().err
    assert [row[0] for row in audit(settings)] == [command.machine_user()] * 2
    current_settings.cache_clear()


def with_tokens() -> SourceContract:
    """The sales of the fleet, the way of payment stored as a token."""
    contract = load_catalog().source("fleet.sales")
    masking = Masking(MaskingStrategy.TOKEN)
    mappings = tuple(
        dataclasses.replace(mapping, field=dataclasses.replace(mapping.field, masking=masking))
        if mapping.field.name == "payment_method_code"
        else mapping
        for mapping in contract.mappings
    )
    fields = {mapping.field.name: mapping.field for mapping in mappings}
    dataset = dataclasses.replace(
        contract.dataset,
        fields=tuple(fields.get(field.name, field) for field in contract.dataset.fields),
    )
    return dataclasses.replace(contract, dataset=dataset, mappings=mappings)


@pytest.mark.parametrize(
    "amounts", [["120", "130"], ["120", "not a number"]], ids=["read-fast", "read-exactly"]
)
def test_conform_keeps_the_originals_of_its_tokens(settings, lake, amounts) -> None:
    contract, keys = with_tokens(), vault_keys(settings.vault)
    content = SALES_HEADER + "".join(
        "\n" + sales_line(transaction_id=f"T{n}", amount=amount, payment_method=f"card-{n}")
        for n, amount in enumerate(amounts)
    )
    lake.write_bytes("raw/files/a.csv/v", f"{content}\n".encode())
    landed = [landed_file(1, "raw/files/a.csv/v", len(content) + 1)]

    batch = conform_batch(
        lake, contract, "b1", landed, LIMITS, "run", pepper=PEPPER, vault_keys=keys
    )

    with lake.local_paths([batch.parquet_location]) as [path]:
        [token, *_] = sorted(
            pq.read_table(path, columns=["transaction_id", "payment_method_code"]).to_pylist(),
            key=lambda row: row["transaction_id"],
        )
    assert token["payment_method_code"].startswith("t1:")
    assert find_value(lake, keys, token["payment_method_code"]) == "card-0"
    assert b"card-0" not in lake.read_bytes(batch.parquet_location)
    assert b"card-0" not in lake.read_bytes(vault_key(lake, contract.id, "b1"))


def test_a_contract_with_tokens_is_not_conformed_without_the_vault(lake) -> None:
    with pytest.raises(VaultError, match=r"fleet\.sales makes tokens"):
        conform_batch(lake, with_tokens(), "b1", [], LIMITS, "run", pepper=PEPPER)


def test_a_contract_without_tokens_leaves_nothing_in_the_vault(lake) -> None:
    content = f"{SALES_HEADER}\n{sales_line()}\n".encode()
    lake.write_bytes("raw/files/a.csv/v", content)
    contract = load_catalog().source("fleet.sales")

    conform_batch(
        lake, contract, "b1", [landed_file(1, "raw/files/a.csv/v", len(content))], LIMITS, "run",
        pepper=PEPPER,
    )  # fmt: skip

    assert list(lake.list("vault")) == []
