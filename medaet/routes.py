"""Routes of the configuration: which analyses they ask for, on trial or not, held against those that are installed."""

import hashlib
from collections.abc import Iterator, Mapping
from enum import Enum

from medaet.config.model import Config
from medaet.config.route import Route, When
from medaet.errors import ConfigError, PluginError
from medaet.plugin.registry import Registry

PARTS_OF_A_PERCENT = 100


class Part(Enum):
    """What a route wants of an analysis' results."""

    DELIVER = "deliver"
    STORE = "store"


def part(route: Route, analysis: str, study_instance_uid: str) -> Part | None:
    """Say what a route wants of an analysis on a study.

    A canary takes the place of the live analysis on its share of the studies; there the live one runs beside it and
    its results are stored, so that both can be compared. Which studies these are depends on their UIDs alone.

    Returns:
        None when the route does not ask for the analysis.
    """
    for canary in route.canary:
        drawn = _drawn(canary.analysis, study_instance_uid, canary.percent)
        if analysis == canary.analysis:
            return Part.DELIVER if drawn else None
        if analysis == canary.instead_of and drawn:
            return Part.STORE
    if analysis in route.analyses:
        return Part.DELIVER
    return Part.STORE if analysis in route.shadow else None


def fulfilled(when: When, found: Mapping[str, str]) -> bool:
    """Whether a series is what a route asks for.

    Args:
        when: Of the route.
        found: Of the series, under the same keys.
    """
    return all(
        not values or found[key].upper() in {value.upper() for value in values}
        for key, values in when.model_dump().items()
    )


def check_routes(config: Config, registry: Registry) -> None:
    """Refuse routes to analyses that are not installed, and settings that no analysis takes.

    Raises:
        ConfigError: with one line for each mistake.
    """
    known = ", ".join(sorted(registry.analyses)) or "none"
    wrong = [
        f"{key}: no analysis named {name!r} is installed; installed are {known}"
        for key, name in _named(config)
        if name not in registry.analyses
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    try:
        registry.hooks(config.hooks.plugins)
    except PluginError as error:
        raise ConfigError(str(error)) from error
    for name, settings in config.plugins.items():
        registry.with_settings(name, settings)


def _named(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each name of an analysis with its key."""
    for number, route in enumerate(config.routes):
        yield from ((f"routes.{number}.analyses", name) for name in route.analyses)
        yield from ((f"routes.{number}.shadow", name) for name in route.shadow)
        yield from ((f"routes.{number}.canary", one.analysis) for one in route.canary)
    yield from (("plugins", name) for name in config.plugins)


def _drawn(analysis: str, study_instance_uid: str, percent: float) -> bool:
    digest = hashlib.sha256(f"{analysis} {study_instance_uid}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return share * PARTS_OF_A_PERCENT < percent
