"""The hooks a plugin may implement; one function is one section of docs/plugins/hooks.md."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pluggy

from medaet.dicom.identity import SeriesFacts
from medaet.dicom.volume import Volume
from medaet.plugin.analysis import Analysis
from medaet.plugin.findings import Findings
from medaet.plugin.hooks import Delivered, Route
from medaet.plugin.kind import ModelKind
from medaet.plugin.web import WebPage

PROJECT = "medaet"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def medaet_analyses() -> Sequence[type[Analysis]]:  # type: ignore[empty-body] # a specification has no body
    """Return the analyses this plugin offers, as classes; importing the module must not import torch."""


@hookspec
def medaet_model_kinds() -> Sequence[type[ModelKind]]:  # type: ignore[empty-body]
    """Return the kinds of model files that this plugin can import and run, as classes."""


@hookspec
def medaet_veto_series(series: SeriesFacts, analysis: str) -> str | None:
    """Return why an analysis must not look at a series, or None; asked for every series that fits and has a route."""


@hookspec
def medaet_choose_route(series: SeriesFacts, analysis: str, route: Route) -> Route | None:
    """Return another list of recipients or another urgency for an analysis of a series, or None."""


@hookspec
def medaet_prepare_volume(analysis: str, role: str, volume: Volume) -> Volume | None:
    """Return the volume that an analysis shall look at instead, on the same grid, or None; runs in the worker child."""


@hookspec
def medaet_enrich_findings(
    analysis: str, findings: Findings, inputs: Mapping[str, Volume]
) -> Findings | None:
    """Return findings with more in them, or None; runs in the worker child, after the analysis."""


@hookspec
def medaet_after_delivery(result: Delivered, folder: Path) -> None:
    """Do something after a peer took a result; runs in the pipeline process, once for each result and peer."""


@hookspec
def medaet_commands() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Return further commands of `medaet` by name: functions with annotated arguments, or Typer applications."""


@hookspec
def medaet_web_pages() -> Sequence[WebPage]:  # type: ignore[empty-body]
    """Return further pages of the dashboard; what they say is data, which the dashboard renders and escapes."""
