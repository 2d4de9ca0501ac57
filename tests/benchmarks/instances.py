"""Instances as scanners make them, for measuring receivers: a header of some 9 kB with a hundred attributes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from medaet.network import dimse
from medaet.network.dimse import LAST, PDV_HEADER, encode_command
from medaet.network.part10 import file_header
from medaet.network.pdu import DATA_TF, HEADER
from tests.faults.senders import CT, EXPLICIT, RELEASE, request

MR = "1.2.840.10008.5.1.4.1.1.4"
UID_MARK, PLACE_MARK = "1.2.3456789012345678", "1111.25"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of study: CT of 512 x 512, MR of 128 x 128 (33 kB), or tiny instances of 7 kB."""

    name: str
    sop_class: str
    modality: str
    side: int
    private_bytes: int = 6000


KINDS = {
    "ct": Kind("ct", CT, "CT", 512),
    "mr": Kind("mr", MR, "MR", 128, private_bytes=0),
    "tiny": Kind("tiny", CT, "CT", 8),
}


class Study:
    """Numbered instances of one series.

    Args:
        kind: Which.
        number: Tells its UIDs from those of other studies.
    """

    def __init__(self, kind: Kind, number: int = 1) -> None:
        self.kind = kind
        self._template = _encoded(_dataset(kind, number))
        self._numbers = count(number * 1_000_000)

    def take(self, how_many: int) -> list[tuple[str, bytes]]:
        """Return SOP Instance UIDs and data sets that nobody has yet."""
        return [self._next() for _ in range(how_many)]

    def _next(self) -> tuple[str, bytes]:
        number = next(self._numbers)
        uid = f"1.2.{number + 10**15:016d}"
        place = f"{number % 9000 + 1000:.2f}"[: len(PLACE_MARK)].ljust(len(PLACE_MARK))
        content = self._template.replace(UID_MARK.encode(), uid.encode())
        return uid, content.replace(PLACE_MARK.encode(), place.encode())


def write_files(study: Study, how_many: int, folder: Path) -> list[Path]:
    """Write Part 10 files for the senders of dcmtk."""
    folder.mkdir(parents=True)
    paths = []
    for uid, content in study.take(how_many):
        start = file_header(
            sop_class_uid=study.kind.sop_class,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT,
        )
        paths.append(folder / f"{uid}.dcm")
        paths[-1].write_bytes(start + content)
    return paths


def conversation(study: Study, how_many: int, *, pdu_bytes: int) -> Iterator[bytes]:
    """Yield what a sender says in one association: each block is answered by one PDU."""
    yield request("MEDAET", [(study.kind.sop_class, EXPLICIT)])
    for number, (uid, content) in enumerate(study.take(how_many)):
        command = encode_command(
            1,
            [
                (dimse.AFFECTED_SOP_CLASS_UID, study.kind.sop_class),
                (dimse.COMMAND_FIELD, dimse.C_STORE_RQ),
                (dimse.MESSAGE_ID, number + 1),
                (0x0700, 2),
                (dimse.DATA_SET_TYPE, 1),
                (dimse.AFFECTED_SOP_INSTANCE_UID, uid),
            ],
        )
        yield command + b"".join(_pdus(content, pdu_bytes - PDV_HEADER.size))
    yield RELEASE


def blocks(said: Iterator[bytes]) -> bytes:
    """Put a length before each block, as blast reads them."""
    return b"".join(struct.pack("=Q", len(one)) + one for one in said)


def _pdus(content: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(content), size):
        part = content[at : at + size]
        control = LAST if at + size >= len(content) else 0
        yield HEADER.pack(DATA_TF, len(part) + PDV_HEADER.size)
        yield PDV_HEADER.pack(len(part) + 2, 1, control) + part


def _dataset(kind: Kind, number: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind.sop_class, UID_MARK
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.3.{number}", f"1.3.{number}.1"
    dataset.Modality, dataset.Manufacturer = kind.modality, "MedAET benchmark"
    dataset.PatientName, dataset.PatientID = "Bench^Mark", f"BENCH{number}"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20260102"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "093000.123"
    dataset.AccessionNumber, dataset.StudyID = "A1", "1"
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = 2, 1, 1
    dataset.SeriesDescription, dataset.BodyPartExamined = "Thorax 1.0 B30f", "CHEST"
    dataset.FrameOfReferenceUID = f"1.3.{number}.2"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = ["-180.5", "-200.25", PLACE_MARK]
    dataset.PixelSpacing, dataset.SliceThickness = [0.703125, 0.703125], 1
    dataset.Rows = dataset.Columns = kind.side
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
    dataset.ReferencedImageSequence = Sequence([_reference(one) for one in range(3)])
    block = dataset.private_block(0x0029, "MEDAET BENCH", create=True)
    for element in range(40 if kind.private_bytes else 0):
        block.add_new(element, "LO", f"parameter {element}")
    if kind.private_bytes:
        block.add_new(0xF0, "OB", bytes(kind.private_bytes))
    noise = np.random.default_rng(number).integers(0, 4096, (kind.side, kind.side), np.int16)
    dataset.PixelData = noise.tobytes()
    return dataset


def _reference(number: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, f"1.4.{number}"
    return item


def _encoded(dataset: Dataset) -> bytes:
    dataset["PixelData"].VR = "OW"
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    return bytes(stream.getvalue())
