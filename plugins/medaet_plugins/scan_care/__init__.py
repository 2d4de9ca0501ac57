"""Care for scans around every analysis: no phantoms, no padding below air, no silence about what is cut off."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medaet import Findings, Volume, hookimpl
from medaet.dicom.identity import SeriesFacts

PHANTOM = "PHANTOM"
AIR_HU = -1024


@hookimpl
def medaet_veto_series(series: SeriesFacts) -> str | None:
    """Keep quality control away from analyses: Body Part Examined PHANTOM is a defined term (PS3.16 Annex L)."""
    return "the series shows a phantom" if series.body_part.strip().upper() == PHANTOM else None


@hookimpl
def medaet_prepare_volume(volume: Volume) -> Volume | None:
    """Set the padding of CT, often -2000 or -3024, to air: networks have never seen such values."""
    if volume.modality != "CT" or volume.padding is None or volume.padding[0] >= AIR_HU:
        return None
    low, high = volume.padding
    voxels = volume.voxels.copy()
    voxels[(voxels >= low) & (voxels <= high)] = AIR_HU
    return replace(volume, voxels=voxels, padding=None)


@hookimpl
def medaet_enrich_findings(findings: Findings, inputs: Mapping[str, Volume]) -> Findings | None:
    """Remark which structures reach the first or last slice: their volumes are not those of the whole structure."""
    cut = [
        one.label for one in findings.located(dict(inputs)).segments if _is_cut(one.voxels.counts)
    ]
    if not cut:
        return None
    words = f"Reaches the end of the scan and may be cut off: {', '.join(cut)}."
    return replace(findings, remarks=(*findings.remarks, words))


def _is_cut(counts: NDArray[np.int64]) -> bool:
    return len(counts) > 1 and bool(counts[0] or counts[-1])
