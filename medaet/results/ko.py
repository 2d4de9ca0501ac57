"""Key objects: the most informative source images as a Key Object Selection Document."""

from collections.abc import Mapping, Sequence

import highdicom
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.dicom.codes import OF_INTEREST, Code
from medaet.dicom.geometry import Plane
from medaet.plugin.findings import Findings
from medaet.results.algorithm import MANUFACTURER, Algorithm
from medaet.results.header import SERIES_NUMBERS, coded, complete, fitting
from medaet.results.point import largest_plane
from medaet.results.source import SourceSeries
from medaet.results.stand_in import stand_ins

MOST_IMAGES = 20


def key_planes(findings: Findings, series: SourceSeries) -> list[Plane]:
    """Return the planes on which each segment of a series is largest, at most twenty, in the order of the slices.

    Structures that cover most go first where there are more.
    """
    largest: dict[int, int] = {}
    for segment in findings.segments:
        if segment.role == series.role:
            plane = largest_plane(segment, series.volume)
            if plane is not None:
                count = int(segment.voxels.counts[series.volume.slices[plane]])
                largest[plane] = max(largest.get(plane, 0), count)
    most = sorted(largest, key=lambda plane: -largest[plane])[:MOST_IMAGES]
    return [series.volume.planes[plane] for plane in sorted(most)]


def key_objects(
    findings: Findings, series: Mapping[str, SourceSeries], algorithm: Algorithm
) -> Dataset | None:
    """Encode the selection; None when nothing was found.

    Source:
        PS3.3 §A.35.4, PS3.16 TID 2010, CID 7010.
    """
    primary = next(iter(series.values()))
    chosen = {role: key_planes(findings, one) for role, one in series.items()}
    if not any(chosen.values()):
        return None
    images = {
        str(image.SOPInstanceUID): image for one in series.values() for image in stand_ins(one)
    }
    named = dict.fromkeys(plane.sop_instance_uid for planes in chosen.values() for plane in planes)
    evidence = [images[uid] for uid in named]
    content = highdicom.ko.KeyObjectSelection(
        document_title=coded(OF_INTEREST),
        referenced_objects=evidence,
        observer_device_context=_observer(algorithm, primary.first),
        description=fitting(
            f"Slices on which the structures of {algorithm.readable_title} are largest",
            primary.first,
        ),
    )
    _name_frames(content[0], [plane for planes in chosen.values() for plane in planes])
    dataset: Dataset = highdicom.ko.KeyObjectSelectionDocument(
        evidence=evidence,
        content=content,
        series_instance_uid=algorithm.uid("KO", "series"),
        series_number=SERIES_NUMBERS["KO"],
        sop_instance_uid=algorithm.uid("KO", "instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    complete(dataset, primary, algorithm, "key images")
    return dataset


def _observer(algorithm: Algorithm, header: Dataset) -> highdicom.sr.ObserverContext:
    return highdicom.sr.ObserverContext(
        observer_type=coded(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=highdicom.sr.DeviceObserverIdentifyingAttributes(
            uid=algorithm.device_uid,
            name=fitting(algorithm.name, header),
            manufacturer_name=MANUFACTURER,
        ),
    )


def _name_frames(root: Dataset, planes: Sequence[Plane]) -> None:
    """Say which frames of multi-frame images are meant."""
    for item in root.ContentSequence:
        if item.ValueType != "IMAGE":
            continue
        (reference,) = item.ReferencedSOPSequence
        frames = [
            plane.frame
            for plane in planes
            if plane.frame and plane.sop_instance_uid == reference.ReferencedSOPInstanceUID
        ]
        if frames:
            reference.ReferencedFrameNumber = frames
