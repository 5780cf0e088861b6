"""Who may see the pages and act, and what a browser receives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_limits import RunLimits
from dataworks_tasks.settings import FrameworkConfig
from producer.web.options import RequestedOptions, check_options
from tests.fleet import wait_until
from tests.integration.web.conftest import PASSWORD, Serve, Visitor
from tests.integration.web.test_pages import record_run


def sign_in(visitor: Visitor, password: str = PASSWORD) -> int:
    return visitor.post("/sign-in?next=/workers", {"name": "anna", "password": password}).status


def test_every_answer_has_the_headers(serve_pages: Serve, ledger: RedisLedger) -> None:
    visitor = serve_pages()
    for path in ("/", "/api/runs", "/static/app.js", "/nothing", "/runs/gen-unknown"):
        headers = visitor.ask(path).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "Tornado" not in headers["Server"]


def test_another_host_name_is_refused(serve_pages: Serve) -> None:
    visitor = serve_pages(allowed_hosts=["runs.example.com"])
    assert visitor.ask("/", Host="evil.example.com").status == 421
    assert visitor.ask("/static/app.js", Host="evil.example.com").status == 421
    assert visitor.ask("/", Host="runs.example.com").status == 200
    assert visitor.ask("/", Host="RUNS.example.com:8090").status == 200


def test_with_a_password_nothing_is_shown_before_it(
    serve_pages: Serve, ledger: RedisLedger, password_file: Path
) -> None:
    run_id = record_run(ledger)
    visitor = serve_pages(password_file=password_file)
    for path in ("/", f"/runs/{run_id}", f"/runs/{run_id}/report", "/workers"):
        answer = visitor.ask(path)
        assert (answer.status, run_id in answer.text) == (302, False)
    for path in ("/api/runs", f"/api/runs/{run_id}", f"/api/events?run={run_id}", "/api/workers"):
        assert visitor.ask(path).status == 401
    assert sign_in(visitor, "wrong-password") == 403
    assert visitor.ask("/").status == 302
    assert sign_in(visitor) == 302
    assert run_id in visitor.ask("/").text
    assert visitor.post("/sign-out").status == 302
    visitor.cookies.pop("_xsrf")
    assert visitor.ask("/").status == 302


def test_the_cookie_is_for_this_site_and_no_script(serve_pages: Serve, password_file: Path) -> None:
    visitor = serve_pages(password_file=password_file)
    visitor.ask("/sign-in")
    form = {"password": PASSWORD, "_xsrf": visitor.cookies["_xsrf"]}
    answer = visitor.ask("/sign-in", form, Origin=f"http://{visitor.host}")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_signing_in_leads_to_this_site_only(serve_pages: Serve, password_file: Path) -> None:
    visitor = serve_pages(password_file=password_file)
    for address in ("https://evil.example.com/", "//evil.example.com", "/\\evil.example.com"):
        answer = visitor.post(f"/sign-in?next={address}", {"password": PASSWORD})
        assert answer.headers["Location"] == "/"


def test_wrong_passwords_get_slower_and_slower(serve_pages: Serve, password_file: Path) -> None:
    visitor = serve_pages(password_file=password_file)
    began = time.monotonic()
    assert [sign_in(visitor, "wrong-password") for _ in range(2)] == [403, 403]
    assert time.monotonic() - began > 1.4
    assert sign_in(visitor) == 302


def test_a_program_comes_in_by_its_token(
    serve_pages: Serve, ledger: RedisLedger, password_file: Path
) -> None:
    visitor = serve_pages(token_file=password_file)
    assert visitor.ask("/api/runs").status == 401
    assert visitor.ask("/").status == 401
    assert visitor.ask("/api/runs", Authorization="Bearer wrong-token").status == 401
    assert visitor.ask("/api/runs", Authorization=f"Bearer {PASSWORD}").status == 200


def test_actions_are_off_unless_they_are_allowed(
    serve_pages: Serve, ledger: RedisLedger, password_file: Path
) -> None:
    run_id = record_run(ledger)
    visitor = serve_pages(password_file=password_file)
    sign_in(visitor)
    assert "Pause" not in visitor.ask(f"/runs/{run_id}").text
    assert visitor.post(f"/runs/{run_id}/pause").status == 403
    assert ledger.state(run_id) is RunState.RUNNING


def test_an_action_needs_session_token_and_origin_and_is_kept_on_record(
    serve_pages: Serve, ledger: RedisLedger, password_file: Path
) -> None:
    run_id = record_run(ledger)
    visitor = serve_pages(password_file=password_file, allow_actions=True)
    path = f"/runs/{run_id}/pause"
    assert visitor.post(path).status == 302  # to the form
    assert ledger.state(run_id) is RunState.RUNNING
    sign_in(visitor)
    assert visitor.ask(path, {}, Origin=f"http://{visitor.host}").status == 403
    assert visitor.post(path, Origin="http://evil.example.com").status == 403
    form = {"_xsrf": visitor.cookies["_xsrf"]}
    assert visitor.ask(path, form).status == 403
    assert visitor.ask(path).status == 405
    assert ledger.state(run_id) is RunState.RUNNING
    assert visitor.post(path).status == 302
    assert ledger.state(run_id) is RunState.PAUSED
    (event,) = ledger.history.events(run_id)
    assert event.action == "pause"
    assert event.who.startswith("anna (127.")
    assert "pause, by anna" in visitor.ask(f"/runs/{run_id}").text
    assert visitor.post(f"/runs/{run_id}/cancel").status == 302
    assert ledger.state(run_id) is RunState.CANCELLED
    assert visitor.post(path).status == 409


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"listen": "0.0.0.0:8090"}, "--password-file"),
        ({"listen": "[::]:8090"}, "--password-file"),
        ({"listen": "8090"}, "--listen 127.0.0.1:8090"),
        ({"listen": "127.0.0.1:8090", "allow_actions": True}, "--password-file"),
        ({"listen": "127.0.0.1:8090", "tls_key": Path("key")}, "--tls-certificate"),
        ({"listen": "127.0.0.1:8090", "password_file": Path("missing")}, "Check its path"),
    ],
)
def test_what_is_not_safe_is_refused(options: dict[str, object], remedy: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_options(RequestedOptions(**options))  # type: ignore[arg-type]
    assert remedy in str(refused.value)


def test_a_password_does_not_cross_a_network_unencrypted(password_file: Path) -> None:
    requested = RequestedOptions("0.0.0.0:8090", password_file=password_file)
    with pytest.raises(UsageError, match="unencrypted"):
        check_options(requested)
    behind = RequestedOptions("0.0.0.0:8090", password_file=password_file, behind_tls_proxy=True)
    assert check_options(behind).secure_cookies
    assert PASSWORD not in repr(check_options(behind))


def test_a_password_that_others_may_read_or_guess_is_refused(password_file: Path) -> None:
    password_file.chmod(0o644)
    with pytest.raises(UsageError, match="other users may read"):
        check_options(RequestedOptions("127.0.0.1:0", password_file=password_file))
    password_file.chmod(0o600)
    password_file.write_text("short")
    with pytest.raises(UsageError, match="fewer than 8"):
        check_options(RequestedOptions("127.0.0.1:0", password_file=password_file))


def test_a_password_that_is_mounted_into_a_container_is_accepted(
    password_file: Path, tmp_path: Path
) -> None:
    """Kubernetes and compose mount secrets with mode 0444 or 0440, owned by root, read-only."""
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    script = """
mount -t tmpfs none "$1" && printf '%s' "$3" > "$1/password" && chmod "$2" "$1/password"
chown "$4" "$1/password"
[ "$5" = rw ] || mount -o remount,ro "$1"
exec "$6" -c 'import sys; from pathlib import Path
from producer.web.options import RequestedOptions, check_options
print(check_options(RequestedOptions("127.0.0.1:0", password_file=Path(sys.argv[1]))).is_protected)
' "$1/password"
"""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def accepted(mode: str, owner: str, mount: str) -> bool:
        words = [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            script,
            "sh",
            str(folder),
            mode,
            PASSWORD,
            owner,
        ]
        done = subprocess.run(
            [*words, mount, sys.executable],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert PASSWORD not in done.stdout + done.stderr
        if done.returncode:
            assert "other users may read" in done.stderr, done.stderr
        return done.returncode == 0

    assert accepted("444", "0:0", "ro")
    assert accepted("440", "0:10001", "ro")
    assert not accepted("444", "0:0", "rw"), "anyone on this machine may read it"
    assert not accepted("444", "10001:0", "ro"), "its owner may make it writable"


def test_the_settings_password_is_asked_for_where_no_file_is_given(password_file: Path) -> None:
    config = FrameworkConfig(
        web_password=SecretStr("from the settings"), web_token=SecretStr("a token of 17")
    )
    options = check_options(RequestedOptions("127.0.0.1:0"), config)
    assert options.password == config.web_password
    assert options.token == config.web_token
    assert "from the settings" not in repr(config) + repr(options)
    both = check_options(RequestedOptions("127.0.0.1:0", password_file=password_file), config)
    assert both.password is not None
    assert both.password.get_secret_value() == PASSWORD


def test_the_rate_is_changed_by_numbers_as_people_type_them(
    serve_pages: Serve, ledger: RedisLedger, password_file: Path
) -> None:
    run_id = record_run(ledger)
    visitor = serve_pages(password_file=password_file, allow_actions=True)
    path = f"/runs/{run_id}/rate"
    assert visitor.post(path, {"max_rate": "100"}).headers["Location"].startswith("/sign-in")
    sign_in(visitor)
    for wrong in ("fast", "0", "-5", "1.5", "nan", "1e99", ""):
        answer = visitor.post(path, {"max_rate": wrong})
        assert answer.status == 400, wrong
    assert visitor.post(path, {"max_rate": "10"}, Origin="http://evil.example.com").status == 403
    refused = visitor.post(path, {"max_ru": "400"})
    assert refused.status == 409, "these settings have no database"
    assert ledger.limits(run_id) is None
    assert ledger.history.events(run_id) == ()
    assert visitor.post(path, {"max_rate": "1k"}).status == 302
    assert ledger.limits(run_id) == RunLimits(max_rate=1000)
    [event] = ledger.history.events(run_id)
    assert event.action == "limit to 1,000 documents/s"


def test_a_cut_over_is_refused_without_the_id_the_session_and_the_permission(
    serve_pages: Serve, ledger: RedisLedger, password_file: Path
) -> None:
    run_id = record_run(ledger)
    path, form = f"/runs/{run_id}/cutover", {"run": run_id}
    visitor = serve_pages(password_file=password_file)
    sign_in(visitor)
    assert visitor.post(path, form).status == 403
    acting = serve_pages(password_file=password_file, allow_actions=True)
    assert acting.post(path, form).headers["Location"].startswith("/sign-in")
    sign_in(acting)
    for wrong in ({}, {"run": run_id.upper()}, {"run": "mig-other"}):
        assert acting.post(path, wrong).status == 400, wrong
    assert acting.post(path, {**form, "quiet": "soon"}).status == 400
    assert acting.post(path, {**form, "quiet": "inf"}).status == 400
    assert acting.post(path, {**form, "verify": "<script>"}).status == 400
    assert acting.post(path, form, Origin="http://evil.example.com").status == 403
    assert acting.ask(path).status == 405
    assert acting.post("/runs/mig-unknown/cutover", {"run": "mig-unknown"}).status == 404
    assert ledger.history.events(run_id) == ()
    assert acting.post(path, form).status == 302
    page = f"/runs/{run_id}"
    wait_until(lambda: len(ledger.history.events(run_id)) == 2, "it is given up")
    began, ended = ledger.history.events(run_id)
    assert (began.action, ended.action) == ("cut over", "cut-over abandoned")
    assert "no target database is set" in acting.ask(page).text
