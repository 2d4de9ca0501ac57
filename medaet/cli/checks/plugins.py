"""Checks of the analyses: installed, whole, and routed."""

from collections.abc import Iterator

from medaet.cli.checks.line import Line, fail, ok, warn
from medaet.config.model import Config
from medaet.errors import ConfigError, MedaetError
from medaet.plugin.analysis import weights_sha256
from medaet.plugin.registry import Registry, discover
from medaet.routes import check_routes


def check_plugins(config: Config) -> Iterator[Line]:
    """Look at every plugin, then at the routes."""
    registry = discover(models=config.models_path)
    for refused in registry.refused:
        yield fail(f"plugin {refused.name}", refused.reason, "mend it, or uninstall it")
    for name in sorted(registry.analyses):
        yield _analysis(registry, name)
    try:
        check_routes(config, registry)
    except ConfigError as error:
        yield fail("routes", str(error), "mend medaet.toml")
        return
    if config.routes:
        yield ok("routes", f"{len(config.routes)} routes")
    else:
        yield warn("routes", "no route: studies are stored, nothing runs", "add [[routes]] tables")


def _analysis(registry: Registry, name: str) -> Line:
    analysis = registry.analyses[name]
    try:
        weights = weights_sha256(analysis)
    except (MedaetError, OSError) as error:
        return fail(f"analysis {name}", str(error), "install the plugin again")
    kept = f", weights {weights[:12]}" if analysis.resources else ""
    return ok(f"analysis {name}", f"{analysis.version}{kept}, about {analysis.memory_mb} MB")
