"""The hooks that the configuration puts in force, called in its order; those that fail say whose they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy
import structlog

from medaet import logs
from medaet.dicom.identity import SeriesFacts
from medaet.dicom.volume import Volume
from medaet.errors import MedaetError, PluginError
from medaet.plugin.findings import Findings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """Where an analysis' results go, and how soon.

    Attributes:
        send_to: Names of peers.
        urgent: Before all routine jobs.
    """

    send_to: tuple[str, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """A result that a peer took.

    Attributes:
        kind: Such as "SEG" or "SR".
        peer: Its name.
        status: DIMSE status of the C-STORE response (PS3.7 Annex C).
    """

    job_id: int
    kind: str
    sop_instance_uid: str
    peer: str
    status: int


@dataclass(frozen=True, slots=True)
class Hooks:
    """Plugins whose hooks are in force.

    Attributes:
        plugins: Their managers, by name.
        versions: Their packages, by name.
    """

    plugins: Mapping[str, pluggy.PluginManager]
    versions: Mapping[str, str] = field(default_factory=dict)

    def veto(self, series: SeriesFacts, analysis: str) -> str | None:
        """Return the first reason against analysing a series; a hook that fails has none."""
        for name, hook in self._each():
            try:
                reasons = hook.medaet_veto_series(series=series, analysis=analysis)
            except Exception as error:  # noqa: BLE001 -- a stranger's code must not stop the dispatch of a study
                _failed(name, error)
                continue
            if reasons:
                return f"{name}: {reasons[0]}"
        return None

    def route(self, series: SeriesFacts, analysis: str, route: Route) -> Route:
        """Let each plugin change a route; one that fails leaves it as it was."""
        for name, hook in self._each():
            try:
                for changed in hook.medaet_choose_route(
                    series=series, analysis=analysis, route=route
                ):
                    route = changed
            except Exception as error:  # noqa: BLE001 -- the same
                _failed(name, error)
        return route

    def prepare(self, analysis: str, inputs: Mapping[str, Volume]) -> dict[str, Volume]:
        """Let each plugin change the volumes.

        Raises:
            PluginError: one failed, or returned something else than volumes of the same grid.
        """
        prepared = dict(inputs)
        for name, hook in self._each():
            for role, volume in prepared.items():
                for changed in _called(
                    name, hook.medaet_prepare_volume, analysis=analysis, role=role, volume=volume
                ):
                    if (
                        not isinstance(changed, Volume)
                        or changed.voxels.shape != volume.voxels.shape
                    ):
                        raise PluginError(f"{name} prepared no volume of the same grid")
                    prepared[role] = changed
        return prepared

    def enrich(self, analysis: str, findings: Findings, inputs: Mapping[str, Volume]) -> Findings:
        """Let each plugin add to findings.

        Raises:
            PluginError: one failed, or returned something else than findings.
        """
        for name, hook in self._each():
            for changed in _called(
                name,
                hook.medaet_enrich_findings,
                analysis=analysis,
                findings=findings,
                inputs=inputs,
            ):
                if not isinstance(changed, Findings):
                    raise PluginError(f"{name} returned no Findings")
                findings = changed
        return findings

    def delivered(self, result: Delivered, folder: Path) -> None:
        """Tell each plugin that a peer took a result; one that fails changes nothing.

        Args:
            result: The result.
            folder: Holds a folder for each plugin.
        """
        for name, hook in self._each():
            try:
                (folder / name).mkdir(parents=True, exist_ok=True)
                hook.medaet_after_delivery(result=result, folder=folder / name)
            except Exception as error:  # noqa: BLE001 -- the result is with the peer, whatever this raised
                _failed(name, error)

    def _each(self) -> Iterator[tuple[str, Any]]:
        for name, manager in self.plugins.items():
            yield name, manager.hook


def _called(name: str, call: Any, **values: object) -> Sequence[Any]:
    try:
        found: Sequence[Any] = call(**values)
    except MedaetError:
        raise
    except Exception as error:
        where = logs.frames(error).get("frames", "")
        raise PluginError(f"the hook of {name} raised {type(error).__name__} {where}") from error
    return found


def _failed(name: str, error: Exception) -> None:
    log.error("hook.failed", plugin=name, **logs.frames(error))
