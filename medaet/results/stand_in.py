"""Headers as highdicom wants them: what it needs to know of the source, complete and well-formed.

highdicom reads required attributes without asking and refuses odd ones, so a scanner's header would
fail it. It gets these instead; `medaet.results.header` then copies patient and study verbatim over
the blanks.
"""

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import CTImageStorage, MRImageStorage

from medaet.dicom.decimal_string import decimal_strings
from medaet.dicom.geometry import Plane
from medaet.results.source import SourceSeries

_COPIED = (  # noqa: SIM905 -- keywords read best as words
    "StudyInstanceUID SeriesInstanceUID Modality Rows Columns "
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

    What they share is the first one's: the volume reader has already made sure that the rest agree, and highdicom
    compares digit by digit. The distance between slices comes from their positions, because scanners write other
    things into Spacing Between Slices.
    """
    common = _common(series)
    first = {plane.sop_instance_uid: plane for plane in reversed(series.volume.planes)}
    return [_stand_in(common, uid, first[uid], series) for uid in series.instances]


def classic(series: SourceSeries) -> Dataset:
    """Return the first stand-in as a classic image: of an enhanced one, highdicom expects functional groups."""
    plane = series.volume.planes[0]
    result = _stand_in(_common(series), plane.sop_instance_uid, plane, series)
    result.SOPClassUID = CTImageStorage if result.Modality == "CT" else MRImageStorage
    return result


def _stand_in(common: Dataset, uid: str, plane: Plane, series: SourceSeries) -> Dataset:
    result = Dataset()
    result.update(common)
    result.SOPClassUID = series.instances[uid].sop_class_uid
    result.SOPInstanceUID = uid
    result.ImagePositionPatient = list(series.position(plane))
    return result


def _common(series: SourceSeries) -> Dataset:
    result = Dataset()
    for keyword in (*_COPIED, *_EQUIPMENT):
        _copy(result, series.first, keyword)
    plane = series.volume.planes[0]
    for keyword, numbers in (
        ("ImageOrientationPatient", plane.orientation),
        ("PixelSpacing", plane.pixel_spacing),
    ):
        _copy(result, series.first, keyword)
        if keyword not in result:  # of a multi-frame image
            setattr(result, keyword, list(decimal_strings(numbers)))
    (distance,) = decimal_strings([series.slice_distance_mm])
    result.SpacingBetweenSlices = distance
    result.SliceThickness = _thickness(series.first) or distance
    result.SamplesPerPixel = 1  # a volume has no colours
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
