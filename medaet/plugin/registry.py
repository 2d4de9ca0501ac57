"""The installed analyses: found by entry point and in the model store, or refused with a reason."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import pluggy
from pydantic import ValidationError

from medaet.errors import ConfigError, MedaetError, PluginError
from medaet.plugin import hookspecs
from medaet.plugin.analysis import Analysis, check_manifest
from medaet.plugin.environments import EnvironmentStore, IsolatedAnalysis, read_environment
from medaet.plugin.hooks import Hooks
from medaet.plugin.kind import ModelKind
from medaet.plugin.model import read_model
from medaet.plugin.models import ModelStore
from medaet.plugin.switches import Switches

GROUP = "medaet.plugins"


@dataclass(frozen=True, slots=True)
class Refused:
    """A plugin or model that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where an analysis comes from.

    Attributes:
        plugin: Name of the entry point or module, or of the kind of model.
        distribution: Name and version of the installed package; empty for a module or a model.
        model: Whether it is an imported model.
        environment: Name of the environment that it is isolated in; empty for the daemon's own.
    """

    plugin: str
    distribution: str = ""
    model: bool = False
    environment: str = ""

    @property
    def comes_and_goes(self) -> bool:
        """Whether it may appear or vanish while the daemon runs."""
        return self.model or bool(self.environment)

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"model ({self.plugin})" if self.model else self.distribution or self.plugin


@dataclass(slots=True)
class Registry:
    """Every analysis by its name, every kind of model, and everything that was refused."""

    analyses: dict[str, type[Analysis]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    kinds: dict[str, type[ModelKind]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    store: ModelStore | None = None
    plugins: dict[str, pluggy.PluginManager] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    environments: EnvironmentStore | None = None
    disabled: frozenset[str] = frozenset()
    _signature: object = None

    def refresh(self) -> bool:
        """Look at models and environments again, if they changed; analyses of plugins stay as they are.

        Returns:
            Whether it changed.
        """
        if self.store is None or self.environments is None:
            return False
        self.disabled = Switches(self.store.root).disabled()
        signature = self.store.signature(), self.environments.signature()
        if signature == self._signature:
            return False
        # Built beside the old one and then swapped: other threads may be reading.
        moving = {name for name, source in self.sources.items() if source.comes_and_goes}
        fresh = Registry(
            analyses={k: v for k, v in self.analyses.items() if k not in moving},
            refused=[one for one in self.refused if "/" not in one.name],
            kinds=self.kinds,
            sources={k: v for k, v in self.sources.items() if k not in moving},
        )
        for folder in self.environments.folders():
            _add_environment(fresh, folder)
        for folder in self.store.folders():
            _add_model(fresh, folder)
        self._signature = signature
        self.analyses, self.refused, self.sources = fresh.analyses, fresh.refused, fresh.sources
        return True

    def hooks(self, names: Sequence[str]) -> Hooks:
        """Return the hooks of some plugins, in this order.

        Raises:
            PluginError: one is not installed.
        """
        absent = [name for name in names if name not in self.plugins]
        if absent:
            known = ", ".join(sorted(self.plugins))
            raise PluginError(f"hooks: no plugin {absent[0]!r} is installed; there are {known}")
        versions = {name: self.distributions[name] for name in names}
        return Hooks({name: self.plugins[name] for name in names}, versions)

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


def discover(modules: Sequence[str] = (), models: Path | None = None) -> Registry:
    """Find the installed analyses; one bad plugin never hides the others.

    Args:
        modules: Further plugin modules to load, beside the entry points of group "medaet.plugins".
        models: The folder of imported models and of environments.
    """
    registry = Registry(
        store=ModelStore(models) if models else None,
        environments=EnvironmentStore(models) if models else None,
    )
    for name, distribution, module in _loaded(modules, registry):
        plugins = pluggy.PluginManager(hookspecs.PROJECT)
        plugins.add_hookspecs(hookspecs)
        try:
            plugins.register(module, name)
            registry.plugins[name], registry.distributions[name] = plugins, distribution
            for kinds in plugins.hook.medaet_model_kinds():
                for kind in kinds:
                    _add_kind(registry, kind)
            for analyses in plugins.hook.medaet_analyses():
                for analysis in analyses:
                    _add(registry, analysis, Source(name, distribution))
        except Exception as error:  # noqa: BLE001 -- a plugin is a stranger's code; it is refused with its reason
            registry.refused.append(Refused(name, f"{type(error).__name__}: {error}"))
    registry.refresh()
    return registry


def _loaded(modules: Sequence[str], registry: Registry) -> Iterator[tuple[str, str, ModuleType]]:
    found = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    wanted = [(point.name, _distribution(point), point.value) for point in found]
    wanted += [(name, "", name) for name in modules]
    for name, distribution, module in wanted:
        try:
            yield name, distribution, importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 -- importing runs a stranger's code; it is refused with its reason
            registry.refused.append(Refused(name, f"{type(error).__name__}: {error}"))


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else ""


def _add(registry: Registry, analysis: type[Analysis], source: Source) -> None:
    check_manifest(analysis)
    if analysis.name in registry.analyses:
        raise PluginError(f"the name {analysis.name!r} is taken by another analysis; rename one")
    registry.analyses[analysis.name] = analysis
    registry.sources[analysis.name] = source


def _add_kind(registry: Registry, kind: type[ModelKind]) -> None:
    if kind.name in registry.kinds:
        raise PluginError(f"the kind of model {kind.name!r} is offered twice; uninstall one plugin")
    registry.kinds[kind.name] = kind


def _add_model(registry: Registry, folder: Path) -> None:
    try:
        model = read_model(folder)
        kind = registry.kinds.get(model.kind)
        if kind is None:
            known = ", ".join(sorted(registry.kinds)) or "none"
            raise PluginError(
                f"no plugin runs models of kind {model.kind!r}; there are plugins for {known}"
            )
        _add(registry, kind.analysis.of(model, folder), Source(model.kind, model=True))
    except (MedaetError, OSError) as error:
        registry.refused.append(Refused(f"models/{folder.name}", str(error)))


def _add_environment(registry: Registry, folder: Path) -> None:
    try:
        environment = read_environment(folder)
        for one in environment.analyses:
            source = Source(folder.name, environment.distribution, environment=folder.name)
            _add(registry, IsolatedAnalysis.of(one, environment), source)
    except MedaetError as error:
        registry.refused.append(Refused(f"environments/{folder.name}", str(error)))
