"""The image library of a report: which images were looked at, and what they share."""

from collections.abc import Mapping, Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes

from medaet.results.source import SourceSeries
from medaet.results.stand_in import classic

_CONTAINS = sr.RelationshipTypeValues.CONTAINS
_CONTEXT = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
_PIXELS = sr.CodedConcept("{pixels}", "UCUM", "Pixels")
_SOURCE = sr.CodedConcept("260753009", "SCT", "Source")


def image_library(series: Mapping[str, SourceSeries]) -> Dataset:
    """Return the library with one group for each input.

    What the slices share stands once, at their group; highdicom's own library repeats sixteen
    descriptors at each slice, which makes a report of a long series unreadable.

    Source:
        PS3.16 TID 1600, TID 1601, TID 1602, TID 1604.
    """
    library: Dataset = sr.ContainerContentItem(
        name=codes.DCM.ImageLibrary, relationship_type=_CONTAINS
    )
    library.ContentSequence = sr.ContentSequence([_group(each) for each in series.values()])
    return library


def _group(series: SourceSeries) -> Dataset:
    group: Dataset = sr.ContainerContentItem(
        name=codes.DCM.ImageLibraryGroup, relationship_type=_CONTAINS
    )
    entries = [
        _entry(uid, one.sop_class_uid, series.frames(uid)) for uid, one in series.instances.items()
    ]
    group.ContentSequence = sr.ContentSequence([*_shared(classic(series)), *entries])
    return group


def _shared(image: Dataset) -> list[Dataset]:
    modality = (
        codes.cid29.ComputedTomography if image.Modality == "CT" else codes.cid29.MagneticResonance
    )
    row_spacing, column_spacing = image.PixelSpacing
    return [
        sr.CodeContentItem(name=codes.DCM.Modality, value=modality, relationship_type=_CONTEXT),
        sr.UIDRefContentItem(
            name=codes.DCM.FrameOfReferenceUID,
            value=image.FrameOfReferenceUID,
            relationship_type=_CONTEXT,
        ),
        _number(codes.DCM.PixelDataRows, image.Rows, _PIXELS),
        _number(codes.DCM.PixelDataColumns, image.Columns, _PIXELS),
        _number(codes.DCM.HorizontalPixelSpacing, float(column_spacing), codes.UCUM.Millimeter),
        _number(codes.DCM.VerticalPixelSpacing, float(row_spacing), codes.UCUM.Millimeter),
        _number(
            codes.DCM.SpacingBetweenSlices, float(image.SpacingBetweenSlices), codes.UCUM.Millimeter
        ),
    ]


def _number(name: object, value: float, unit: object) -> Dataset:
    item: Dataset = sr.NumContentItem(name=name, value=value, unit=unit, relationship_type=_CONTEXT)
    return item


def _entry(uid: str, sop_class_uid: str, frames: Sequence[int]) -> Dataset:
    item: Dataset = sr.ImageContentItem(
        name=_SOURCE,
        referenced_sop_class_uid=sop_class_uid,
        referenced_sop_instance_uid=uid,
        referenced_frame_numbers=list(frames) or None,
        relationship_type=_CONTAINS,
    )
    return item
