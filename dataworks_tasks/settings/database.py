"""How to reach one database."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from dataworks_tasks.errors import SettingsError

_SRV_SCHEME = "mongodb+srv://"


class DatabaseType(StrEnum):
    """Which dialect a server speaks."""

    MONGODB = "mongodb"
    MONGODB_ATLAS = "mongodb-atlas"
    COSMOS_DB = "cosmos-db"
    AZURE_DOCUMENTDB = "azure-documentdb"


class DatabaseConfig(BaseModel):
    """A connection, its pool and the default namespace on it. The connection string is a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    connection_string: SecretStr = Field(
        description="MongoDB connection string; holds the password, so it never leaves the process"
    )
    database_name: str = Field(default="", description="database for commands that do not name one")
    collection_name: str = Field(
        default="", description="collection for commands that do not name one"
    )
    db_type: DatabaseType | None = Field(
        default=None,
        description="dialect: mongodb, mongodb-atlas, cosmos-db or azure-documentdb; "
        "detected from the host name when it is not set",
    )
    max_pool_size: int = Field(
        default=16, ge=1, le=1000, description="largest number of connections of one worker process"
    )
    min_pool_size: int = Field(
        default=0, ge=0, le=1000, description="connections kept open by one worker process"
    )
    max_idle_time_ms: int = Field(
        default=120_000,
        ge=1000,
        description="milliseconds after which an unused connection is closed; "
        "Cosmos DB cuts idle ones after 4 minutes",
    )
    large_documents: bool | None = Field(
        default=None,
        description="Cosmos DB: whether the account takes documents of 16 MB instead of 2 MB "
        "(EnableMongo16MBDocumentSupport); detected from its hello when it is not set",
    )
    warmup_connections: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="connections opened when a worker process first connects",
    )

    @field_validator("connection_string")
    @classmethod
    def _is_a_connection_string(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mongodb://", _SRV_SCHEME)):
            raise ValueError(
                "it must begin with mongodb:// or mongodb+srv://, as in mongodb://HOST:27017/"
            )
        return value

    def at(self, database: str, collection: str) -> Self:
        """Return the same connection with another default namespace."""
        return self.model_copy(update={"database_name": database, "collection_name": collection})

    @property
    def fingerprint(self) -> str:
        """Which servers this reaches: the host list, lower case and sorted, without credentials.

        Raises SettingsError when the connection string cannot be read; it quotes no part of it.
        """
        uri = self.connection_string.get_secret_value()
        if uri.startswith(_SRV_SCHEME):
            return uri.removeprefix(_SRV_SCHEME).rpartition("@")[2].partition("/")[0].lower()
        # The driver takes longer to import than a command that reads the ledger takes in all.
        from pymongo.errors import InvalidURI
        from pymongo.uri_parser import parse_uri

        try:
            nodes = parse_uri(uri, validate=False, warn=False)["nodelist"]
        except (InvalidURI, ValueError) as error:
            raise SettingsError(
                f"the connection string cannot be read ({uri_problem(error)})",
                "Percent-encode user name and password, for example with "
                "python -c 'import sys,urllib.parse as u; print(u.quote(input(), safe=\"\"))'",
            ) from None
        return ",".join(sorted(f"{host}:{port}".lower() for host, port in nodes))


def uri_problem(error: Exception) -> str:
    """Return what a URI parser found, without quoting the URI, which may hold the password."""
    text = str(error)
    if "escaped" in text or "quote" in text:
        return "user name or password is not percent-encoded"
    if "port" in text.lower():
        return "the port is not a number from 1 to 65535"
    return type(error).__name__
