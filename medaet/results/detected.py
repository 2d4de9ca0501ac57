"""The measurement groups of what has no mask: boxes in the patient, and what the inputs as a whole show."""

from collections.abc import Mapping

from highdicom import sr
from pydicom import Dataset

from medaet.dicom.codes import CERTAINTY, DETECTED, NOT_DETECTED, PERCENT
from medaet.plugin.detection import Box, Classification, Detection
from medaet.plugin.findings import Findings, Measurement
from medaet.results.algorithm import Algorithm
from medaet.results.header import coded
from medaet.results.measurement import evaluations, identified
from medaet.results.source import SourceSeries

FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
"""The corners of each face of a box, as `Box.corners` numbers them, once around."""


def detection_groups(
    findings: Findings,
    series: Mapping[str, SourceSeries],
    algorithm: Algorithm,
    *,
    surfaces: bool,
) -> list[sr.templates.Template]:
    """Return a group for each detection: its box as a surface of six polygons in the patient, and how certain it is.

    Args:
        findings: Resolved findings.
        series: The inputs by role.
        algorithm: The run.
        surfaces: Whether the report may hold coordinates in three dimensions.

    Source:
        PS3.16 TID 1411, TID 1501, TID 300; PS3.3 §C.18.9.
    """
    header = next(iter(series.values())).first
    groups = []
    for one in findings.detections:
        shared = _shared(one, findings, header, algorithm, one.score)
        shared["qualitative_evaluations"] = evaluations(findings, one.label)
        if surfaces:
            surface = _surface(one.box, series[str(one.role)])
            groups.append(
                sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                    **shared, referenced_volume_surface=surface
                )
            )
        else:
            groups.append(sr.MeasurementsAndQualitativeEvaluations(**shared))
    return groups


def classification_groups(
    findings: Findings, header: Dataset, algorithm: Algorithm
) -> list[sr.templates.Template]:
    """Return a group for each classification: what was looked for, whether it is there, and how likely that is.

    Source:
        PS3.16 TID 1501.
    """
    groups = []
    for one in findings.classifications:
        shared = _shared(one, findings, header, algorithm, one.probability)
        verdict = coded(DETECTED if one.present else NOT_DETECTED)
        shared["qualitative_evaluations"] = [
            sr.QualitativeEvaluation(coded(one.code), verdict),
            *evaluations(findings, one.label),
        ]
        groups.append(sr.MeasurementsAndQualitativeEvaluations(**shared))
    return groups


def _shared(
    one: Detection | Classification,
    findings: Findings,
    header: Dataset,
    algorithm: Algorithm,
    probability: float | None,
) -> dict[str, object]:
    own = [item for item in findings.measurements if item.of == one.label]
    if probability is not None:
        own.insert(0, Measurement(CERTAINTY, 100 * probability, PERCENT, one.label))
    return identified(one, algorithm.uid("tracking", one.label), own, header, algorithm)


def _surface(box: Box, series: SourceSeries) -> sr.VolumeSurface:
    corners = box.corners_mm(series.volume.affine)
    return sr.VolumeSurface(
        sr.GraphicTypeValues3D.POLYGON,
        [corners[[*face, face[0]]] for face in FACES],
        frame_of_reference_uid=series.frame_of_reference_uid,
        source_series=sr.SourceSeriesForSegmentation(str(series.first.SeriesInstanceUID)),
    )
