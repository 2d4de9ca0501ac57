"""The pictures of one run as PNG files, for people who look without a viewer."""

from collections.abc import Mapping
from pathlib import Path

from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.results.drawn import seen
from medaet.results.fused import fused_pictures, write_fused
from medaet.results.preview import write_preview


def write_pictures(
    folder: Path, volumes: Mapping[str, Volume], findings: Findings, *, title: str
) -> None:
    """Write a preview of each input, and one of each pair that was brought together.

    An input that lies in a pair's picture and has nothing drawn on its own grid needs no preview of its own.

    Args:
        folder: Gets `ROLE.png`, and `ROLE-on-ROLE.png` for a pair.
        volumes: The inputs, by role.
        findings: Resolved findings.
        title: Names the analysis; must not name the patient.
    """
    shown = seen(findings, volumes)
    blended = {one.moving for one in findings.resampled if one.blended}
    for role, volume in volumes.items():
        own = shown.on(role)
        if own.segments or role not in blended:
            write_preview(folder / f"{role}.png", volume, own, title=title)
    for one in findings.resampled:
        if one.blended:
            fixed, modality = volumes[one.fixed], volumes[one.moving].modality
            drawn = fused_pictures(fixed, one, modality, findings, title)
            write_fused(folder / f"{one.moving}-on-{one.fixed}.png", drawn)
