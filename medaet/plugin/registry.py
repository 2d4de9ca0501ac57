"""The installed analyses: found by entry point, checked, and refused with a reason where they cannot be used."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import ModuleType

import pluggy
from pydantic import ValidationError

from medaet.errors import ConfigError, PluginError
from medaet.plugin import hookspecs
from medaet.plugin.analysis import Analysis, check_manifest

GROUP = "medaet.plugins"


@dataclass(frozen=True, slots=True)
class Refused:
    """A plugin that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Every analysis by its name, and every plugin that was refused."""

    analyses: dict[str, type[Analysis]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    def with_settings(self, name: str, raw: Mapping[str, object]) -> Analysis:
        """Make an analysis with its own settings.

        Raises:
            PluginError: no such analysis is installed.
            ConfigError: a setting is wrong, named by its key path.
        """
        analysis = self.analyses.get(name)
        if analysis is None:
            known = ", ".join(sorted(self.analyses)) or "none"
            raise PluginError(f"no analysis named {name!r} is installed; installed are {known}")
        try:
            return analysis(analysis.Settings.model_validate(dict(raw)))
        except ValidationError as error:
            lines = [
                f"plugins.{name}.{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
                for one in error.errors(include_url=False)
            ]
            raise ConfigError("\n".join(lines)) from error


def discover(modules: Sequence[str] = ()) -> Registry:
    """Find the installed analyses; one bad plugin never hides the others.

    Args:
        modules: Further plugin modules to load, beside the entry points of group "medaet.plugins".
    """
    registry = Registry()
    for name, module in _loaded(modules, registry):
        plugins = pluggy.PluginManager(hookspecs.PROJECT)
        plugins.add_hookspecs(hookspecs)
        try:
            plugins.register(module, name)
            for analyses in plugins.hook.medaet_analyses():
                for analysis in analyses:
                    _add(registry, analysis)
        except Exception as error:  # noqa: BLE001 -- a plugin is a stranger's code; it is refused with its reason
            registry.refused.append(Refused(name, f"{type(error).__name__}: {error}"))
    return registry


def _loaded(modules: Sequence[str], registry: Registry) -> Iterator[tuple[str, ModuleType]]:
    found = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    wanted = [(point.name, point.value) for point in found] + [(name, name) for name in modules]
    for name, module in wanted:
        try:
            yield name, importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 -- importing runs a stranger's code; it is refused with its reason
            registry.refused.append(Refused(name, f"{type(error).__name__}: {error}"))


def _add(registry: Registry, analysis: type[Analysis]) -> None:
    check_manifest(analysis)
    if analysis.name in registry.analyses:
        raise PluginError(f"the name {analysis.name!r} is taken by another analysis; rename one")
    registry.analyses[analysis.name] = analysis
