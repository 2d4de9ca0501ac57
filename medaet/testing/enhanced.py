"""Enhanced CT and MR phantoms: the slices of a classic phantom series as frames of one instance."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from medaet.dicom.uid import derived_uid
from medaet.testing.phantom import save

PER_SLICE = (  # noqa: SIM905 -- keywords read best as words
    "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness RescaleIntercept RescaleSlope "
    "RescaleType InstanceNumber EchoTime AcquisitionNumber SOPInstanceUID SOPClassUID PixelData KVP TriggerTime "
    "ScanningSequence SequenceVariant ScanOptions RepetitionTime EchoTrainLength TemporalPositionIdentifier"
).split()


def _unchanged(dataset: Dataset) -> None:
    """Leave the instance as it is."""


def write_enhanced(
    slices: Sequence[Path],
    path: Path,
    *,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    change: Callable[[Dataset], None] = _unchanged,
) -> Path:
    """Write one multi-frame instance.

    Args:
        slices: Files of a classic phantom series, uncompressed, in any order; frames follow it.
        path: The file to write.
        transfer_syntax_uid: Any that pydicom can write.
        change: Called with the data set before it is written.

    Returns:
        `path`.

    Source:
        PS3.3 §A.36 (Enhanced MR), §A.38 (Enhanced CT), §C.7.6.16.
    """
    sources = [pydicom.dcmread(one) for one in slices]
    dataset = Dataset()
    dataset.update(pydicom.dcmread(slices[0]))
    is_ct = dataset.Modality == "CT"
    for keyword in PER_SLICE:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.SOPClassUID = EnhancedCTImageStorage if is_ct else EnhancedMRImageStorage
    dataset.SOPInstanceUID = derived_uid("enhanced", *(str(one.SOPInstanceUID) for one in sources))
    dataset.InstanceNumber = 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.NumberOfFrames = len(sources)
    dataset.SharedFunctionalGroupsSequence = [_shared(sources[0])]
    dataset.PerFrameFunctionalGroupsSequence = [
        _own(one, number, is_ct=is_ct) for number, one in enumerate(sources, 1)
    ]
    vr = "OB" if dataset.BitsAllocated == 8 else "OW"
    length = dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8
    content = b"".join(one.PixelData[:length] for one in sources)
    if transfer_syntax_uid == ExplicitVRBigEndian:
        width = dataset.BitsAllocated // 8
        content = np.frombuffer(content, f"u{width}").byteswap().tobytes()
    dataset.add_new("PixelData", vr, content + b"\0" * (len(content) % 2))
    change(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(dataset, path, UID(transfer_syntax_uid))
    return path


def _shared(source: Dataset) -> Dataset:
    measures = Dataset()
    measures.PixelSpacing = source.PixelSpacing
    measures.SliceThickness = source.SliceThickness
    orientation = Dataset()
    orientation.ImageOrientationPatient = source.ImageOrientationPatient
    item = Dataset()
    item.PixelMeasuresSequence = [measures]
    item.PlaneOrientationSequence = [orientation]
    return item


def _own(source: Dataset, number: int, *, is_ct: bool) -> Dataset:
    content = Dataset()
    content.StackID = "1"
    content.InStackPositionNumber = number
    content.DimensionIndexValues = [1, number]
    content.FrameAcquisitionNumber = 1
    position = Dataset()
    position.ImagePositionPatient = source.ImagePositionPatient
    transformation = Dataset()
    for keyword in ("RescaleIntercept", "RescaleSlope"):
        setattr(transformation, keyword, source[keyword].value)
    transformation.RescaleType = "HU" if is_ct else "US"
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    item = Dataset()
    item.FrameContentSequence = [content]
    item.PlanePositionSequence = [position]
    item.PixelValueTransformationSequence = [transformation]
    if is_ct:
        item.CTImageFrameTypeSequence = [kind]
        return item
    item.MRImageFrameTypeSequence = [kind]
    echo = Dataset()
    echo.EffectiveEchoTime = float(source.get("EchoTime") or 0)
    item.MREchoSequence = [echo]
    return item
