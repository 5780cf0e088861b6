"""Addresses read in one way only, and no message quotes any part of a password."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kombu.utils.url import parse_url
from pymongo.uri_parser import parse_uri
from redis.connection import parse_url as parse_redis_url

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.logs import without_credentials
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.settings.address_syntax import check_syntax
from dataworks_tasks.settings.redis_address import read_sentinel_address

FORMS = {
    "redis": "redis://:{}@host.example:6379/0",
    "redis with a user": "redis://worker:{}@host.example:6379/0",
    "rediss": "rediss://worker:{}@host.example/3?ssl_ca_certs=/etc/ca.pem",
    "sentinel": "sentinel://:{}@one.example:26379,two.example/0?master=main",
    "mongodb": "mongodb://user:{}@host.example:27017/?replicaSet=r&appName=@shop@",
    "mongodb+srv": "mongodb+srv://user:{}@cluster.example/?tls=true",
}
SETTINGS = {
    "redis": "FRAMEWORK_BROKER_URL",
    "rediss": "FRAMEWORK_BROKER_URL",
    "sentinel": "FRAMEWORK_BROKER_URL",
    "mongodb": "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
    "mongodb+srv": "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
}
# What a password may hold and no message of ours does.
passwords = st.text(st.sampled_from("QXZJ0189/?#@:%[]&=;,+\\'\" <>~é"), min_size=3, max_size=14)


def parts(password: str, size: int = 3) -> Iterator[str]:
    """Every part of a password that would give it away."""
    for start in range(len(password) - size + 1):
        part = password[start : start + size]
        if any(character.isalnum() for character in part):
            yield part


def _load(form: str, address: str) -> str | None:
    """Return what is said about the address; None if it is accepted."""
    name = SETTINGS[form.partition(" ")[0]]
    with patch.dict("os.environ", {name: address}, clear=True):
        try:
            ConfigManager().load_config("no file")
        except SettingsError as error:
            return str(error)
    return None


def _password_of(form: str, address: str) -> str | None:
    """Return the password that clients read, and check the host that they connect to."""
    if form == "sentinel":
        sentinel = read_sentinel_address(address)
        assert sentinel.sentinels == (("one.example", 26379), ("two.example", 26379))
        return sentinel.password
    if form.startswith("mongodb+srv"):
        address = address.replace("mongodb+srv", "mongodb").replace("cluster", "host")
    if form.startswith("mongodb"):
        found = parse_uri(address, warn=False)
        assert [host for host, _ in found["nodelist"]] == ["host.example"]
        return str(found["password"])
    by_redis = parse_redis_url(address)  # type: ignore[no-untyped-call]
    by_kombu = parse_url(address)
    assert by_redis["host"] == by_kombu["hostname"] == "host.example"
    assert by_redis["password"] == by_kombu["password"]
    return str(by_redis["password"])


@pytest.mark.parametrize("form", FORMS)
@given(password=passwords)
@example("Tr0ub4dor/3x")
@example("p@ss/w")
@example("12/3")
@example("123?a=b")
@example("12#3")
@example("1?appName=@x")
@example("99%zz")
@settings(max_examples=60, deadline=None)
def test_an_address_is_refused_without_a_word_of_it_or_means_what_it_says(
    form: str, password: str
) -> None:
    address = FORMS[form].format(password)
    said = _load(form, address)
    if said is None:
        decoded = unquote(password).replace("+", " ") if "mongo" in form else unquote(password)
        found = _password_of(form, address)
        assert found is not None
        assert found.replace("+", " ") == decoded if "mongo" in form else found == decoded
    else:
        assert "ercent-encode" in said
        assert said == _load(form, FORMS[form].format("a/b@c")), "it depends on the password"


@pytest.mark.parametrize("form", FORMS)
@given(password=passwords)
@settings(max_examples=30, deadline=None)
def test_any_password_can_be_used_when_it_is_encoded(form: str, password: str) -> None:
    address = FORMS[form].format(quote(password, safe=""))
    assert _load(form, address) is None
    assert _password_of(form, address) == password


@pytest.mark.parametrize("form", FORMS)
@given(password=passwords)
@settings(max_examples=30, deadline=None)
def test_logs_cover_it_whether_or_not_it_is_encoded(form: str, password: str) -> None:
    solid = password.replace(" ", "_")
    for written in (solid, quote(solid, safe="")):
        covered = without_credentials(f"cannot reach {FORMS[form].format(written)} now")
        assert covered.startswith("cannot reach ")
        assert covered.endswith(" now")
        kept = FORMS[form].replace("{}", "")
        assert [part for part in parts(solid) if part in covered and part not in kept] == []


@pytest.mark.parametrize(
    "address",
    [
        "redis://localhost",
        "redis://localhost:6379",
        "redis:///1",
        "redis://[::1]:6379/0",
        "redis://h/0?health_check_interval=5&ssl_cert_reqs=required",
        "unix:///run/redis.sock?db=1",
        "unix://:pw@/run/redis.sock",
        "sentinel://[::1]:1,h:2/0?master=m&sentinel_auth=true",
        "mongodb://a",
        "mongodb://a:1,b:2,[::1]:3/db?replicaSet=r",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock",
        "mongodb://CN=me,OU=x@h/?authMechanism=MONGODB-X509",
        "mongodb://u:a%2Bb==@h.mongo.cosmos.azure.com:10255/?ssl=true&appName=@shop@",
        "mongodb://u@h/?authMechanismProperties=SERVICE_NAME:x,CANONICALIZE_HOST_NAME:true",
        "mongodb+srv://u:p@c.mongodb.net",
    ],
)
def test_addresses_that_are_right_are_taken(address: str) -> None:
    check_syntax(address)


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_port_that_does_not_exist_is_named(port: str) -> None:
    with pytest.raises(ValueError, match="from 1 to 65535"):
        check_syntax(f"redis://h:{port}/0")
