"""The flags that name a run's servers, as a later command needs them, without secrets."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace

ADDRESSES = ("source", "target", "broker")


@dataclass(frozen=True, slots=True)
class RunFlags:
    """Flags of a command that are needed again by the commands that follow it.

    An address with a user name or a password is not kept: ``secret`` names its flag.
    """

    profile: str | None = None
    source: str | None = None
    target: str | None = None
    broker: str | None = None
    workers: str | None = None
    secret: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any flag."""
        return self != NO_RUN_FLAGS

    def over(self, other: RunFlags) -> RunFlags:
        """Return these flags, and those of ``other`` that are not given here."""
        mine = {one.name for one in fields(self) if getattr(self, one.name)} | {*self.secret}
        more = {
            one.name: getattr(other, one.name)
            for one in fields(other)
            if one.name != "secret" and one.name not in mine
        }
        secret = self.secret + tuple(name for name in other.secret if name not in mine)
        return replace(self, **more, secret=secret)

    def to_json(self) -> str:
        """Encode the flags as the ledger keeps them."""
        return json.dumps({name: value for name, value in asdict(self).items() if value})

    @classmethod
    def from_json(cls, text: str) -> RunFlags:
        """Read flags as the ledger keeps them; what another version added is left out."""
        kept = json.loads(text)
        secret = tuple(name for name in ADDRESSES if name in kept.get("secret", ()))
        known = {one.name for one in fields(cls)} - {"secret"}
        return cls(**{name: str(kept[name]) for name in known & kept.keys()}, secret=secret)


NO_RUN_FLAGS = RunFlags()
