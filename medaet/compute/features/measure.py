"""The features that findings ask for, computed and put in their place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from medaet.compute.features.extract import Value, extract
from medaet.dicom.codes import NO_UNITS
from medaet.dicom.ibsi import aggregation_code
from medaet.dicom.volume import Volume
from medaet.errors import FindingsError
from medaet.plugin.features import FeatureRequest, FeatureSettings
from medaet.plugin.findings import Findings, Measurement
from medaet.plugin.segment import Segment


def measured(findings: Findings, inputs: Mapping[str, Volume], device: str) -> Findings:
    """Compute every feature that was asked for, those of segments of one input and with one processing together.

    Args:
        findings: As the analysis returned them.
        inputs: The volumes the analysis was given, by role.
        device: In torch's spelling.

    Raises:
        FindingsError: a segment's features are asked for under two different settings, which a report could not tell
            apart; or its mask does not fit its input.
    """
    requests = [item.request for item in findings.measurements if item.request is not None]
    if not requests:
        return findings
    _check(requests)
    located = {one.label: one for one in findings.located(dict(inputs)).segments}
    found: dict[tuple[str, tuple[str, ...]], list[Measurement]] = {}
    for (role, families, settings), some in _grouped(requests, located).items():
        volume = inputs[role]
        for request, values in zip(some, _extracted(volume, some, located, device), strict=True):
            found[request.of, families] = [
                _measurement(value, request.of, volume, settings) for value in values
            ]
    return replace(findings, measurements=tuple(_filled(findings, found)))


def _check(requests: Sequence[FeatureRequest]) -> None:
    settings: dict[str, FeatureSettings] = {}
    for request in requests:
        if settings.setdefault(request.of, request.settings) != request.settings:
            raise FindingsError(
                f"features of {request.of!r} are asked for under two settings; make a second segment for the other"
            )


_Group = tuple[str, tuple[str, ...], FeatureSettings]


def _grouped(
    requests: Sequence[FeatureRequest], segments: Mapping[str, Segment]
) -> dict[_Group, list[FeatureRequest]]:
    groups: dict[_Group, list[FeatureRequest]] = {}
    for request in requests:
        key = (str(segments[request.of].role), request.families, request.settings)
        groups.setdefault(key, []).append(request)
    return groups


def _extracted(
    volume: Volume,
    requests: Sequence[FeatureRequest],
    segments: Mapping[str, Segment],
    device: str,
) -> list[list[Value]]:
    image = torch.from_numpy(np.array(volume.voxels)).to(device)
    masks = [torch.from_numpy(segments[one.of].mask).to(device) for one in requests]
    first = requests[0]
    return extract(image, masks, volume.spacing_mm, first.settings, first.families)


def _measurement(
    value: Value, label: str, volume: Volume, settings: FeatureSettings
) -> Measurement:
    feature = value.feature
    numbered = feature.dimension == "bin" and settings.ivh_bins is not None
    return Measurement(
        feature.code,
        value.value,
        NO_UNITS if numbered else feature.unit(volume.modality),
        label,
        method=aggregation_code(feature, value.aggregation) if value.aggregation else None,
        parameters=settings.described(),
        absent=value.reason,
    )


def _filled(
    findings: Findings, found: Mapping[tuple[str, tuple[str, ...]], list[Measurement]]
) -> Iterator[Measurement]:
    for item in findings.measurements:
        if item.request is None:
            yield item
        else:
            yield from found[item.request.of, item.request.families]
