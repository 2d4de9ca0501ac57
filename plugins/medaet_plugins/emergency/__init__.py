"""Emergencies first: series whose description says so go before all routine work."""

import re
from dataclasses import replace

from medaet import hookimpl
from medaet.dicom.identity import SeriesFacts
from medaet.plugin.hooks import Route

WORDS = frozenset({"STAT", "EMERGENCY", "URGENT", "TRAUMA", "POLYTRAUMA", "STROKE", "SHOCK"})


@hookimpl
def medaet_choose_route(series: SeriesFacts, route: Route) -> Route | None:
    """Make a route urgent where the study's, the series' or the protocol's description holds one of the words."""
    text = f"{series.study_description} {series.series_description} {series.protocol_name}"
    said = WORDS & set(re.findall(r"[A-Z]+", text.upper()))
    return replace(route, urgent=True) if said and not route.urgent else None
