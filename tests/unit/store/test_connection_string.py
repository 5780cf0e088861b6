"""Mistakes in a connection string are reported before anything connects."""

from __future__ import annotations

import pytest
from pymongo.uri_parser import parse_uri

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.settings.database import DatabaseConfig, DatabaseType
from dataworks_tasks.store.connection_string import with_literal_plus
from dataworks_tasks.store.create_client import create_database_client, detect_type

HOST = "shop.mongo.cosmos.azure.com"
OPTIONS = "ssl=true&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@shop@"
GOOD = f"mongodb://shop:a%2Bb%2Fc==@{HOST}:10255/?{OPTIONS}"
ELASTIC = "mongodb+srv://me:pw@shop.global.mongocluster.cosmos.azure.com/?tls=true"


def config(uri: str, db_type: DatabaseType | None = None) -> DatabaseConfig:
    return DatabaseConfig.model_validate({"connection_string": uri, "db_type": db_type})


@pytest.mark.parametrize(
    "uri",
    [
        GOOD,
        GOOD.replace("/?", "/shop?"),
        GOOD.replace("ssl=true", "tls=true"),
        GOOD.replace("retrywrites", "retryWrites"),
        GOOD.replace(HOST, "shop.documents.azure.com"),
        ELASTIC,
        "mongodb://127.0.0.1:27017/?replicaSet=globaldb&retrywrites=false",
        "mongodb+srv://me:pw@cluster0.abcde.mongodb.net/",
    ],
)
def test_what_works_is_taken(uri: str) -> None:
    create_database_client(config(uri))


@pytest.mark.parametrize(
    ("uri", "problems"),
    [
        (GOOD.replace("&retrywrites=false", ""), ["retrywrites=false"]),
        (GOOD.replace("retrywrites=false", "retrywrites=true"), ["retrywrites=false"]),
        (GOOD.replace("ssl=true&", ""), ["ssl=true"]),
        (GOOD.replace(":10255", ""), ["port 10255"]),
        (GOOD.replace("%2B", "+"), ["not percent-encoded"]),
        (GOOD.replace("%2F", "/"), ["not percent-encoded"]),
        (GOOD.replace("a%2Bb", "a%b"), ["not percent-encoded"]),
        (
            f"mongodb://shop:s3cr/t+==@{HOST}/",
            ["not percent-encoded", "retrywrites=false", "ssl=true", "port 10255"],
        ),
        (ELASTIC.replace(":pw@", ":p@w@"), ["not percent-encoded"]),
        (ELASTIC.replace("+srv", "").replace("tls=true", ""), ["ssl=true"]),
    ],
)
def test_everything_that_is_wrong_is_said_with_how_to_write_it(
    uri: str, problems: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        create_database_client(config(uri))
    for problem in problems:
        assert problem in caught.value.fact
    assert caught.value.fact.count(" and ") <= 2 * len(problems)
    assert caught.value.remedy.startswith("Write it as mongodb")
    assert "%2B" in caught.value.remedy
    assert "s3cr" not in str(caught.value)


def test_an_account_behind_another_name_needs_only_what_the_driver_must_know() -> None:
    local = config("mongodb://127.0.0.1:40000/?replicaSet=globaldb", DatabaseType.COSMOS_DB)
    with pytest.raises(SettingsError, match="retrywrites=false") as caught:
        create_database_client(local)
    assert "10255" not in caught.value.fact
    url = "mongodb://127.0.0.1:40000/?replicaSet=globaldb&retrywrites=false"
    client = create_database_client(config(url, DatabaseType.COSMOS_DB))
    assert client.db_type is DatabaseType.COSMOS_DB


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (GOOD, DatabaseType.COSMOS_DB),
        (ELASTIC, DatabaseType.AZURE_DOCUMENTDB),
        ("mongodb+srv://me:pw@c.x.mongodb.net/", DatabaseType.MONGODB_ATLAS),
        ("mongodb://one:1,two:2/", DatabaseType.MONGODB),
    ],
)
def test_the_host_shows_the_dialect(uri: str, expected: DatabaseType) -> None:
    assert detect_type(config(uri)) is expected
    assert detect_type(config(uri, DatabaseType.MONGODB)) is DatabaseType.MONGODB


@pytest.mark.parametrize(
    ("uri", "password", "database"),
    [
        ("mongodb://me:a+b%20c@h1:1,h2:2/shop?appName=a+b", "a+b c", "shop"),
        ("mongodb://me:a%2Bb@h1/", "a+b", None),
        ("mongodb://me:plain@h1/shop", "plain", "shop"),
        ("mongodb://h1/", None, None),
    ],
)
def test_a_plus_in_a_password_is_a_plus(
    uri: str, password: str | None, database: str | None
) -> None:
    """Only PyMongo reads it as a space, which would change the password."""
    found = parse_uri(with_literal_plus(uri), warn=False)
    assert (found["password"], found["database"]) == (password, database)
    assert with_literal_plus(with_literal_plus(uri)) == with_literal_plus(uri)
