"""medaet.toml and the environment to a Config; every mistake is reported at once, each with its place."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medaet.config.model import Config
from medaet.errors import ConfigError

PREFIX = "MEDAET_"
NOT_KEYS = frozenset({"MEDAET_CONFIG", "MEDAET_OFFLINE", "MEDAET_TEST_DATA"})
SYSTEM_WIDE = Path("/etc/medaet/medaet.toml")


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration.

    Args:
        path: The file; None for /etc/medaet/medaet.toml where that exists, and built-in defaults where not.
        environment: Variables such as MEDAET_LISTENER__PORT override the file; None for the process' own.

    Raises:
        ConfigError: one line for each mistake, as `medaet.toml:14: listener.port: ...`.
    """
    file = path or (SYSTEM_WIDE if SYSTEM_WIDE.is_file() else None)
    text = _text(file) if file else ""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error
    _override(content, os.environ if environment is None else environment)
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        lines = [_line(one, file, text) for one in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f"{file}: cannot be read: {reason}; `medaet init` writes a new one"
        ) from error


def _override(content: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Lay MEDAET_SECTION__KEY variables over the file's tables."""
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or name in NOT_KEYS:
            continue
        *tables, key = name.removeprefix(PREFIX).lower().split("__")
        if not tables:
            raise ConfigError(
                f"{name}: expected {PREFIX}SECTION__KEY, such as {PREFIX}LISTENER__PORT"
            )
        inner = content
        for table in tables:
            inner = inner.setdefault(table, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{name}: {table} is not a table that the environment can change")
        inner[key] = value


def _line(error: ErrorDetails, file: Path | None, text: str) -> str:
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], list(_siblings(error["loc"])), n=1)
        what = "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    else:
        given = "" if isinstance(error["input"], dict | list) else f", got {error['input']!r}"
        what = error["msg"].removeprefix("Value error, ") + given
    place = f"{file.name}:{line_of(path, text)}: " if file else ""
    return f"{place}{'.'.join(path)}: {what}" if path else f"{place}{what}"


def _siblings(location: tuple[int | str, ...]) -> Iterator[str]:
    """Name the keys that stand where an unknown one was found."""
    model: type[BaseModel] | None = Config
    for part in location[:-1]:
        if isinstance(part, int) or model is None:
            continue
        field = model.model_fields.get(part)
        model = _model_in(field.annotation) if field else None
    if model is not None:
        yield from model.model_fields


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((found for one in inner if (found := _model_in(one))), None)


def line_of(path: list[str], text: str) -> int:
    """Find the line of a key by reading the file's table headers; 1 when it stands nowhere."""
    wanted = [part for part in path if not part.isdigit()]
    index = next((int(part) for part in path if part.isdigit()), 0)
    table: list[str] = []
    seen, best = -1, 1
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?", line)
        if header:
            table = [part.strip(' "') for part in header[1].split(".")]
            if line.lstrip().startswith("[[") and table == wanted[: len(table)]:
                seen += 1
            if table == wanted[: len(table)] and seen in (-1, index):
                best = number
            continue
        key = re.match(r'\s*"?([A-Za-z0-9_-]+)"?\s*=', line)
        if key and [*table, key[1]] == wanted[: len(table) + 1] and seen in (-1, index):
            return number
    return best
