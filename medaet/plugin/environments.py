"""Environments of isolated plugins: one folder each, with an interpreter of its own and a manifest of what is in it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from medaet.dicom.codes import Code
from medaet.errors import PluginError
from medaet.plugin.analysis import Analysis, Settings
from medaet.plugin.models import ModelStore
from medaet.plugin.selector import SeriesSelector

FOLDER = ".environments"
MANIFEST = "environment.json"

_KINDS: Mapping[str, type] = {"boolean": bool, "integer": int, "number": float, "string": str}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Described(_Table):
    """One analysis, as the interpreter of its environment described it.

    Attributes:
        settings: Of each setting its JSON schema; the analysis itself checks values when it is loaded.
    """

    name: str
    version: str
    inputs: dict[str, SeriesSelector]
    title: str
    intended_use: str
    not_for_diagnostic_use: bool
    memory_mb: int
    family: Code
    procedure: Code | None
    weights_sha256: str
    settings: dict[str, dict[str, Any]]


class Environment(_Table):
    """The manifest of an environment.

    Attributes:
        name: Of its folder.
        source: What was installed, as pip took it.
        distribution: The plugin's package, name and version.
        installed_at: When.
        python: Version of the interpreter.
        packages: Versions of all packages that are in it, those shared with the daemon included.
        shared: Packages that are the daemon's own.
        analyses: What the plugin offers.
    """

    name: str
    source: str
    distribution: str
    installed_at: datetime
    python: str
    packages: dict[str, str]
    shared: tuple[str, ...]
    analyses: tuple[Described, ...]


class EnvironmentStore(ModelStore):
    """The environments beside the imported models.

    Args:
        models: The folder of imported models.
    """

    manifest: ClassVar[str] = MANIFEST
    noun: ClassVar[str] = "environment"

    def __init__(self, models: Path) -> None:
        super().__init__(models / FOLDER)

    def interpreter(self, name: str) -> Path:
        """Return the Python of an environment.

        Raises:
            PluginError: there is no such environment.
        """
        return interpreter(self.folder(name))


def interpreter(folder: Path) -> Path:
    """Return the Python in an environment's folder."""
    return folder / "bin" / "python"


def read_environment(folder: Path) -> Environment:
    """Read the manifest of an environment.

    Raises:
        PluginError: it cannot be read, or the interpreter is gone.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        environment = Environment.model_validate(content)
    except (OSError, ValidationError, ValueError) as error:
        raise PluginError(
            f"{folder.name}/{MANIFEST} cannot be read ({type(error).__name__}); install the plugin again"
        ) from error
    if not interpreter(folder).exists():
        raise PluginError(
            f"the interpreter of {folder.name} is gone; install the plugin again with --isolated"
        )
    return environment


class IsolatedAnalysis(Analysis):
    """An analysis that only its own interpreter can load; here is its manifest.

    Attributes:
        environment: Where it is installed.
        described: What its interpreter said of it.
    """

    environment: ClassVar[Environment]
    described: ClassVar[Described]

    @classmethod
    def of(cls, described: Described, environment: Environment) -> "type[IsolatedAnalysis]":
        """Make the class of one analysis."""
        taken = ("name", "version", "title", "intended_use", "not_for_diagnostic_use", "memory_mb")
        manifest = {
            **{key: getattr(described, key) for key in (*taken, "family", "procedure")},
            "inputs": dict(described.inputs),
            "Settings": _settings(described),
            "environment": environment,
            "described": described,
            "__module__": cls.__module__,
            "__doc__": described.title or described.name,
        }
        return type(cls.__name__, (cls,), manifest)

    @classmethod
    def weights_sha256(cls) -> str:
        """Return what stands for the weights and for every package of the environment."""
        told = [cls.described.weights_sha256, sorted(cls.environment.packages.items())]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def environment_of(analysis: type[Analysis], models: Path | None) -> Path | None:
    """Return the folder of the environment that an analysis is isolated in; None for the daemon's own."""
    if models is None or not issubclass(analysis, IsolatedAnalysis):
        return None
    return EnvironmentStore(models).folder(analysis.environment.name)


def _settings(described: Described) -> type[BaseModel]:
    """Make a class that knows the settings' names, simple types and defaults."""
    fields: dict[str, Any] = {
        key: (_KINDS.get(str(schema.get("type")), Any), schema.get("default"))
        for key, schema in described.settings.items()
    }
    return create_model("IsolatedSettings", __base__=Settings, **fields)
