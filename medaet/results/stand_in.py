"""Headers as highdicom wants them: what it needs to know of the source, complete and well-formed.

highdicom reads required attributes without asking and refuses odd ones, so a scanner's header would
fail it. It gets these instead; `medaet.results.header` then copies patient and study verbatim over
the blanks.
"""

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.valuerep import format_number_as_ds

from medaet.results.source import SourceSeries

_COPIED = (  # noqa: SIM905 -- keywords read best as words
    "StudyInstanceUID SeriesInstanceUID SOPClassUID SOPInstanceUID Modality Rows Columns "
    "ImagePositionPatient "
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
    """Return one data set for each slice, in slice order.

    Orientation and Pixel Spacing are the first slice's for all: the volume reader has already made
    sure that the rest agree, and highdicom compares them digit by digit. The distance between
    slices comes from their positions, because scanners write other things into Spacing Between
    Slices.
    """
    return [_stand_in(header, series) for header in series.headers]


def _stand_in(header: Dataset, series: SourceSeries) -> Dataset:
    result = Dataset()
    for keyword in _COPIED:
        _copy(result, header, keyword)
    for keyword in ("ImageOrientationPatient", "PixelSpacing", *_EQUIPMENT):
        _copy(result, series.first, keyword)
    distance = _distance(series)
    result.SpacingBetweenSlices = distance
    result.SliceThickness = _thickness(series.first) or distance
    result.FrameOfReferenceUID = series.frame_of_reference_uid
    result.PositionReferenceIndicator = str(series.first.get("PositionReferenceIndicator") or "")
    for keyword in _BLANK:
        setattr(result, keyword, "")
    return result


def _distance(series: SourceSeries) -> str:
    """Return the distance between the planes of neighbouring slices in mm, along their normal."""
    between_rows, between_columns = map(float, series.first.PixelSpacing)
    area = between_rows * between_columns
    return format_number_as_ds(float(series.volume.voxel_ml) * 1000 / area)


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
