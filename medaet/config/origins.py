"""Where each setting comes from: a line of the file, an environment variable, or the default."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medaet.config.load import PREFIX, SYSTEM_WIDE, line_of, load
from medaet.config.model import Config


@dataclass(frozen=True, slots=True)
class Setting:
    """One key, its value and its origin.

    Attributes:
        key: Path of the key, such as "listener.port".
        value: As JSON would have it; a password within a URL is masked.
        origin: "default", "medaet.toml:14" or the variable's name.
    """

    key: str
    value: object
    origin: str


def settings(
    path: Path | None = None, environment: Mapping[str, str] | None = None
) -> list[Setting]:
    """List every setting in the order of the model.

    Raises:
        ConfigError: the configuration is wrong.
    """
    variables = os.environ if environment is None else environment
    config = load(path, variables)
    file = path or (SYSTEM_WIDE if SYSTEM_WIDE.is_file() else None)
    text = file.read_text(encoding="utf-8") if file else ""
    written = set(_leaves(tomllib.loads(text)))
    found = []
    for keys, value in _flat(plain(config)):
        variable = PREFIX + "__".join(keys).upper()
        if variable in variables:
            origin = variable
        elif file and any(keys[: len(one)] == one or one[: len(keys)] == keys for one in written):
            origin = f"{file.name}:{line_of(list(keys), text)}"
        else:
            origin = "default"
        found.append(Setting(".".join(keys), value, origin))
    return found


def plain(config: Config) -> dict[str, object]:
    """Return the configuration as JSON values, without passwords."""
    values: dict[str, object] = config.model_dump(mode="json")
    values["database"] = {"url": masked(config.database.url)}
    return values


def masked(url: str) -> str:
    """Hide the password of a URL."""
    scheme, separator, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    if not at or ":" not in user:
        return url
    return f"{scheme}{separator}{user.partition(':')[0]}:***@{place}"


def _flat(values: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _flat(value, (*keys, key))
    elif isinstance(values, list) and any(isinstance(one, dict) for one in values):
        for number, one in enumerate(values):
            yield from _flat(one, (*keys, str(number)))
    else:
        yield keys, values


def _leaves(values: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield from (path for path, _ in _flat(values, keys))
