"""Headers as highdicom wants them: what it needs to know of the source, complete and well-formed.

highdicom reads required attributes without asking and refuses odd ones, so a scanner's header would
fail it. It gets these instead; `medaet.results.header` then copies patient and study verbatim over
the blanks.
"""

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import CTImageStorage, MRImageStorage

from medaet.results.source import SourceSeries, decimal_strings

_COPIED = (  # noqa: SIM905 -- keywords read best as words
    "StudyInstanceUID SeriesInstanceUID SOPClassUID SOPInstanceUID Modality Rows Columns "
    "LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod"
).split()
_EQUIPMENT = (  # noqa: SIM905 -- as above
    "Manufacturer ManufacturerModelName SoftwareVersions DeviceSerialNumber "
    "StationName InstitutionName"
).split()
_BLANK = (  # noqa: SIM905 -- as above
    "PatientName PatientID PatientBirthDate PatientSex "
    "StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName"
).split()


def stand_ins(series: SourceSeries) -> list[Dataset]:
    """Return one data set for each source instance, as if each were a classic image where its first slice lies.

    Orientation and Pixel Spacing are the first slice's for all: the volume reader has already made
    sure that the rest agree, and highdicom compares them digit by digit. The distance between
    slices comes from their positions, because scanners write other things into Spacing Between
    Slices.
    """
    return [_stand_in(header, series) for header in series.headers.values()]


def classic(image: Dataset) -> Dataset:
    """Return a stand-in that claims to be a classic image: of an enhanced one, highdicom expects functional groups."""
    result = Dataset()
    result.update(image)
    result.SOPClassUID = CTImageStorage if image.Modality == "CT" else MRImageStorage
    return result


def _stand_in(header: Dataset, series: SourceSeries) -> Dataset:
    result = Dataset()
    for keyword in _COPIED:
        _copy(result, header, keyword)
    for keyword in _EQUIPMENT:
        _copy(result, series.first, keyword)
    first = next(
        plane
        for plane in series.volume.planes
        if plane.sop_instance_uid == str(header.SOPInstanceUID)
    )
    result.ImagePositionPatient = list(series.position(first))
    for keyword, numbers in (
        ("ImageOrientationPatient", series.volume.planes[0].orientation),
        ("PixelSpacing", series.volume.planes[0].pixel_spacing),
    ):
        _copy(result, series.first, keyword)
        if keyword not in result:  # of a multi-frame image
            setattr(result, keyword, list(decimal_strings(numbers)))
    (distance,) = decimal_strings([series.slice_distance_mm])
    result.SpacingBetweenSlices = distance
    result.SliceThickness = _thickness(series.first) or distance
    result.FrameOfReferenceUID = series.frame_of_reference_uid
    result.PositionReferenceIndicator = str(series.first.get("PositionReferenceIndicator") or "")
    for keyword in _BLANK:
        setattr(result, keyword, "")
    return result


def _copy(result: Dataset, header: Dataset, keyword: str) -> None:
    if header.get(keyword) is not None:
        value = header[keyword].value
        result.add(DataElement(tag_for_keyword(keyword) or 0, dictionary_VR(keyword), value))


def _thickness(header: Dataset) -> str | None:
    """Return Slice Thickness as the scanner wrote it, where it is a positive number."""
    try:
        return str(header.SliceThickness) if float(header.SliceThickness) > 0 else None
    except (AttributeError, TypeError, ValueError):
        return None
