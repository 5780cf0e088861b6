"""Who may see the page: passwords, tokens and sessions."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from pydantic import SecretStr

SESSION_SECONDS = 12 * 3600.0
_MOST_SESSIONS = 1000
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 8.0
_SCRYPT_COST = 2**14


class PasswordCheck:
    """Compares passwords with a key that was derived from the right one, which is not kept.

    One guess is checked at a time, and each wrong one makes the next ones wait longer, up to eight
    seconds, for every visitor. The right password ends that.
    """

    def __init__(self, password: SecretStr, sleep: Callable[[float], object] | None = None) -> None:
        self._salt = secrets.token_bytes(16)
        self._key = self._derive(password.get_secret_value())
        self._turn = asyncio.Lock()
        self._wrong = 0
        self._sleep = sleep or asyncio.sleep

    async def is_right(self, guess: str) -> bool:
        """Return whether the guess is the password; a wrong one is delayed."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            key = await loop.run_in_executor(None, self._derive, guess)
            if hmac.compare_digest(key, self._key):
                self._wrong = 0
                return True
            self._wrong += 1
            pause = self._sleep(
                min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._wrong, 10))
            )
            if asyncio.iscoroutine(pause):
                await pause
            return False

    def _derive(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self._salt, n=_SCRYPT_COST, r=8, p=1)


def is_token(token: SecretStr | None, header: str) -> bool:
    """Return whether an ``Authorization`` header carries the token."""
    kind, _, given = header.partition(" ")
    if token is None or kind.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), token.get_secret_value().encode())


class Sessions:
    """Who is signed in, by the random value of their cookie; forgotten when the page restarts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, tuple[str, float]] = {}

    def begin(self, who: str) -> str:
        """Sign somebody in; returns the cookie's value."""
        while len(self._open) >= _MOST_SESSIONS:
            del self._open[next(iter(self._open))]
        value = secrets.token_urlsafe(32)
        self._open[value] = (who, self._clock() + SESSION_SECONDS)
        return value

    def who(self, value: str | None) -> str | None:
        """Return whom the cookie belongs to; None if nobody, or if it is too old."""
        found = self._open.get(value or "")
        if found is None:
            return None
        who, ends = found
        if self._clock() >= ends:
            self.end(value)
            return None
        return who

    def end(self, value: str | None) -> None:
        """Sign somebody out."""
        self._open.pop(value or "", None)
