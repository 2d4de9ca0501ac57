"""Routes and plugin settings of the configuration, held against the analyses that are installed."""

from medaet.config.model import Config
from medaet.errors import ConfigError
from medaet.plugin.registry import Registry


def check_routes(config: Config, registry: Registry) -> None:
    """Refuse routes to analyses that are not installed, and settings that no analysis takes.

    Raises:
        ConfigError: with one line for each mistake.
    """
    known = ", ".join(sorted(registry.analyses)) or "none"
    named = [
        (f"routes.{number}.analyses", name)
        for number, route in enumerate(config.routes)
        for name in route.analyses
    ] + [("plugins", name) for name in config.plugins]
    wrong = [
        f"{key}: no analysis named {name!r} is installed; installed are {known}"
        for key, name in named
        if name not in registry.analyses
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    for name, settings in config.plugins.items():
        registry.with_settings(name, settings)
