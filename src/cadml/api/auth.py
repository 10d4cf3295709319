"""Who may do what: keys as salted hashes in a file, roles ``reader < writer < admin``."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from cadml.errors import ConfigurationError, MissingKey

LINE = re.compile(r"(?P<name>[\w.@-]{1,64}) (?P<role>reader|writer|admin) sha256:(?P<digest>[0-9a-f]{64})")


LOCAL = "local"  # who does what without a key, on loopback alone


class Role(IntEnum):
    """What a key may do; each role may do what those below it may."""

    READER = 1
    WRITER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the key file."""

    name: str
    role: Role
    digest: str


def digest(key: str) -> str:
    """Return what the file holds of ``key``.

    Keys are 256 random bits of our own making (:func:`add`), so a plain SHA-256 cannot be searched
    backwards; a slow password hash would only slow down every request.
    """
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    """The accepted keys; ``None`` instead of a file means that nobody needs one."""

    def __init__(self, path: Path | None) -> None:
        self._keys = load(path) if path else ()
        self.required = path is not None

    def role(self, given: str | None) -> Role:
        """Return the role of the ``given`` key.

        Raises
        ------
        MissingKey
            No key, or a wrong one: the same sentence for both.
        """
        return self._key(given).role if self.required else Role.ADMIN

    def holder(self, given: str | None) -> str:
        """Return the name of the ``given`` key; ``local`` where none is needed.

        Raises
        ------
        MissingKey
            As for :meth:`role`.
        """
        return self._key(given).name if self.required else LOCAL

    def _key(self, given: str | None) -> Key:
        offered = digest(given or "")
        found = None
        for key in self._keys:  # every key is compared, so that time tells nothing
            if hmac.compare_digest(key.digest, offered):
                found = key
        if found is None:
            raise MissingKey("a valid X-API-Key is needed")
        return found


def load(path: Path) -> tuple[Key, ...]:
    """Return the keys in the file at ``path``: lines ``name role sha256:hex``, ``#`` comments.

    Raises
    ------
    ConfigurationError
        The file cannot be read, holds no key, or a line is not of that form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"CADML_API_KEYS_FILE: {path} cannot be read: {why}", name="CADML_API_KEYS_FILE"
        ) from error
    keys = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigurationError(
                f"CADML_API_KEYS_FILE: line {number} is no `name role sha256:…`; see `cadml keys add`",
                name="CADML_API_KEYS_FILE",
            )
        keys.append(Key(match["name"], Role[match["role"].upper()], match["digest"]))
    if not keys:
        raise ConfigurationError(
            "CADML_API_KEYS_FILE holds no key; `cadml keys add NAME` makes one", name="CADML_API_KEYS_FILE"
        )
    return tuple(keys)


def add(path: Path, name: str, role: str) -> str:
    """Return a key made for ``name``; only its hash is written to the file at ``path``.

    Raises
    ------
    ConfigurationError
        The name is taken or not one word, or the file is damaged.
    """
    key = secrets.token_urlsafe(32)
    line = f"{name} {role} sha256:{digest(key)}"
    if LINE.fullmatch(line) is None:
        raise ConfigurationError(f"{name!r} is no name for a key: one word of letters, digits and . @ _ -")
    if path.exists() and path.stat().st_size and name in {known.name for known in load(path)}:
        raise ConfigurationError(f"a key named {name} is in {path} already")
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8"
    ) as file:
        file.write(line + "\n")
    return key


def check_address(host: str, keys_file: Path | None) -> None:
    """Let a service listen on ``host`` only if that is loopback or keys are set.

    Raises
    ------
    ConfigurationError
        The address can be reached from other machines and no key would be asked for.
    """
    if keys_file is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached from other machines: make a key with `cadml keys add` "
            "and set CADML_API_KEYS_FILE, or listen on 127.0.0.1",
            host=host,
        )


def is_loopback(host: str) -> bool:
    """Return whether ``host`` names this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: what it resolves to is beyond our control
        return False
