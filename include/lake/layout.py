"""Where the zones of the lake lie in a bucket.

raw-data/                    what vendors deliver: sales/, replenishment/, master-data/, any folder
raw-data/versions/files/     every version of every file, as it came
raw-data/api/                every API page, as it came
raw-data/vault/              what stands behind tokens, encrypted
processed-data/              conformed rows, and the documents of runs
quarantine/                  rejected rows
dbt-artifacts/               manifests and results
published/                   what was published last, from which changes are told
monitoring/                  the snapshot of health, open incidents, alerts that wait for delivery
exports/                     anonymised files that wait for their release

bronze/, silver/, manifests/ the parts of a copy of a lake, which has none of the above

Everything that may hold personal data lies below raw-data/, so that one rule restricts it; in a
copy below bronze/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from include.lake.base import LakeError, Zone
from include.settings import ObjectLakeSettings, ObjectStore


class Classification(StrEnum):
    """The value of the tag ``classification``, which the buckets' policies read."""

    RESTRICTED = "restricted"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of the lake and its place in the bucket.

    ``reserved`` names the folders in it that belong to other folders of the lake.
    """

    lake: str
    bucket: str
    classification: Classification
    reserved: frozenset[str] = frozenset()

    def to_bucket(self, key: str) -> str:
        return self.bucket + key.removeprefix(self.lake)

    def to_lake(self, bucket_key: str) -> str:
        return self.lake + bucket_key.removeprefix(self.bucket)

    def is_reserved(self, key: str) -> bool:
        """Whether a key of this folder would lie in another folder's place."""
        return key.removeprefix(f"{self.lake}/").split("/", 1)[0] in self.reserved


API_PAGES = Folder(f"{Zone.RAW}/api", "raw-data/api", Classification.RESTRICTED)
VERSIONS = Folder(Zone.RAW.value, "raw-data/versions", Classification.RESTRICTED)
VAULT = Folder(Zone.VAULT.value, "raw-data/vault", Classification.RESTRICTED)
DELIVERIES = Folder(
    Zone.SOURCES.value,
    "raw-data",
    Classification.RESTRICTED,
    frozenset({"api", "vault", "versions"}),
)
PROCESSED = Folder(Zone.PROCESSED.value, "processed-data", Classification.INTERNAL)
QUARANTINE = Folder(Zone.QUARANTINE.value, "quarantine", Classification.INTERNAL)
ARTIFACTS = Folder(Zone.ARTIFACTS.value, "dbt-artifacts", Classification.INTERNAL)
PUBLISHED = Folder(Zone.PUBLISHED.value, "published", Classification.INTERNAL)
MONITORING = Folder(Zone.MONITORING.value, "monitoring", Classification.INTERNAL)
EXPORTS = Folder(Zone.EXPORTS.value, "exports", Classification.INTERNAL)
BRONZE = Folder(Zone.BRONZE.value, "bronze", Classification.RESTRICTED)
SILVER = Folder(Zone.SILVER.value, "silver", Classification.INTERNAL)
MANIFESTS = Folder(Zone.MANIFESTS.value, "manifests", Classification.INTERNAL)

# A folder inside another stands before it.
FOLDERS = (
    API_PAGES,
    VERSIONS,
    VAULT,
    DELIVERIES,
    PROCESSED,
    QUARANTINE,
    ARTIFACTS,
    PUBLISHED,
    MONITORING,
    EXPORTS,
    BRONZE,
    SILVER,
    MANIFESTS,
)


def folder_of(key: str) -> Folder:
    """The folder that a key of the lake lies in. Raises LakeError if it lies in none."""
    for folder in FOLDERS:
        if f"{key}/".startswith(f"{folder.lake}/"):
            if folder.is_reserved(key):
                raise LakeError(
                    f"{key!r} is not a place for deliveries: {', '.join(sorted(folder.reserved))} "
                    "hold what the pipeline keeps; deliver to another folder."
                )
            return folder
    raise LakeError(f"{key!r} lies in no zone of the lake; begin it with one of {_zones()}.")


def bucket_key(key: str) -> str:
    """The key in the bucket of a key of the lake. Raises LakeError."""
    return folder_of(key).to_bucket(key)


def attributes(settings: ObjectLakeSettings, key: str) -> dict[str, str]:
    """Encryption and classification of an object, as S3 takes them with its content.

    R2 encrypts everything itself and refuses both. Raises LakeError.
    """
    if settings.store is ObjectStore.R2:
        return {}
    named = {
        "ServerSideEncryption": settings.encryption,
        "Tagging": urlencode({"classification": folder_of(key).classification.value}),
    }
    # S3 refuses a key beside AES-256, and an environment may name the one of its other services.
    with_key = settings.encryption == "aws:kms" and settings.kms_key_id
    return named | ({"SSEKMSKeyId": settings.kms_key_id} if with_key else {})


def folders_below(prefix: str) -> Iterator[tuple[Folder, str]]:
    """The folders that hold objects below a prefix of the lake, each with the prefix inside it."""
    own = folder_of(prefix)
    yield own, prefix
    for folder in FOLDERS:
        if folder.lake.startswith(f"{prefix}/"):
            yield folder, folder.lake


def _zones() -> str:
    return ", ".join(f"{zone}/" for zone in Zone)
