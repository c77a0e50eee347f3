"""Connections and variables come from Secrets Manager, under a prefix of each environment."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.providers.amazon.aws.secrets.secrets_manager import SecretsManagerBackend
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from include.alerts.routing import load_routing
from include.settings import load_settings
from include.warehouse import WarehouseError
from include.warehouse.snowflake_profile import profile_variables
from tests.services.aws import ACCESS_KEY, REGION, SECRET_KEY, Aws, running_aws

ROOT = Path(__file__).resolve().parents[2]
STAGING = load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with running_aws() as server:
        yield server


def options(environment: str) -> dict[str, object]:
    """What docs/environments.md gives to the secrets backend, for an environment."""
    text = (ROOT / "docs" / "environments.md").read_text("utf-8")
    block = re.search(r"```json\n(.*?connections_prefix.*?)```", text, re.DOTALL)
    assert block
    return json.loads(block[1].replace("vending/staging/", f"vending/{environment}/"))


@pytest.fixture
def use_secrets(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    """Let Airflow read from the server, as MWAA does with a role; here with moto's credentials."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws.endpoint,
    }.items():
        monkeypatch.setenv(name, value)

    def backend(environment: str) -> SecretsManagerBackend:
        return SecretsManagerBackend(**options(environment))

    return backend


def secret(aws: Aws, name: str, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    aws.client("secretsmanager").create_secret(Name=name, SecretString=text)


def key_in_base64(passphrase: bytes) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    return b64encode(pem).decode()


def test_each_environment_reads_its_own_prefix(aws, use_secrets) -> None:
    for environment in ("staging", "prod"):
        secret(
            aws,
            f"vending/{environment}/connections/fleet_api",
            {"conn_type": "http", "host": f"{environment}.example", "password": "token"},
        )

    found = {e: use_secrets(e).get_connection("fleet_api").host for e in ("staging", "prod")}

    assert found == {"staging": "staging.example", "prod": "prod.example"}


def test_a_connection_that_is_not_ours_is_not_asked_for(aws, use_secrets) -> None:
    secret(aws, "vending/staging/connections/aws_default", {"conn_type": "aws"})

    assert use_secrets("staging").get_conn_value("aws_default") is None


def test_every_connection_that_the_platform_names_is_asked_for() -> None:
    document = (ROOT / "docs" / "environments.md").read_text("utf-8")
    section = document.split("## Connections\n", 1)[1].split("\n## ", 1)[0]
    first_cells = re.findall(r"^\| ([^|]*)\|", section, re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    pattern = re.compile(str(options("staging")["connections_lookup_pattern"]))
    named = documented | set(load_routing().owners.values())

    assert len(documented) >= 7
    assert [name for name in sorted(named) if not pattern.match(name)] == []


def test_terraform_asks_for_the_same_connections() -> None:
    main = (ROOT / "deploy/terraform/aws/modules/mwaa/main.tf").read_text("utf-8")

    assert f'= "{options("staging")["connections_lookup_pattern"]}"' in main


def test_variables_have_a_prefix_too(aws, use_secrets) -> None:
    secret(aws, "vending/staging/variables/greeting", "hello")

    assert use_secrets("staging").get_variable("greeting") == "hello"
    assert use_secrets("prod").get_variable("greeting") is None


def test_dbt_gets_its_key_pair_from_the_secret(aws, use_secrets, monkeypatch) -> None:
    secret(
        aws,
        "vending/staging/connections/snowflake_transform",
        {
            "conn_type": "snowflake",
            "login": "TRANSFORMER_SERVICE",
            "password": "passphrase",
            "extra": {
                "account": "acme-staging",
                "role": "TRANSFORMER",
                "private_key_content": key_in_base64(b"passphrase"),
            },
        },
    )
    value = use_secrets("staging").get_conn_value("snowflake_transform")
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_TRANSFORM", value)

    variables = dict(profile_variables(STAGING.warehouse))

    assert variables["VENDING_SNOWFLAKE_ACCOUNT"] == "acme-staging"
    assert variables["VENDING_SNOWFLAKE_USER"] == "TRANSFORMER_SERVICE"
    assert variables["VENDING_SNOWFLAKE_ROLE"] == "TRANSFORMER"
    assert variables["DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY"].startswith("MII")
    assert "passphrase" not in str(variables)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "'snowflake_transform' is missing or malformed"),
        ('{"conn_type": "snowflake", "extra": {"private_key_content": "hidden-key"}}', "malformed"),
        ('{"conn_type": "snowflake", "login": "hidden-login"}', "has no private key"),
    ],
    ids=["missing", "not a key", "no key"],
)
def test_a_missing_or_malformed_secret_is_a_sentence_without_its_content(
    monkeypatch, content, told
) -> None:
    if content is not None:
        monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_TRANSFORM", content)

    with pytest.raises(WarehouseError) as caught:
        profile_variables(STAGING.warehouse)

    assert told in str(caught.value)
    assert "hidden" not in str(caught.value)
