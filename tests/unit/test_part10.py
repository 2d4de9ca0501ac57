"""The file format around received bytes, read back by pydicom and dcmtk."""

import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID
from medaet.network.part10 import file_header
from tests.peers import system_program

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PATIENT_ID = b"\x10\x00\x20\x00LO\x04\x00TEST"


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34"])
def test_file_header_is_read_back_with_odd_and_even_uids(uid: str) -> None:
    start = file_header(sop_class_uid=CT, sop_instance_uid=uid, transfer_syntax_uid=EXPLICIT)
    instance = dcmread(BytesIO(start + PATIENT_ID))
    assert instance.preamble == bytes(128)
    assert instance.file_meta.FileMetaInformationVersion == b"\x00\x01"
    assert instance.file_meta.MediaStorageSOPClassUID == CT
    assert instance.file_meta.MediaStorageSOPInstanceUID == uid
    assert instance.file_meta.TransferSyntaxUID == EXPLICIT
    assert instance.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert instance.PatientID == "TEST"


def test_group_length_counts_the_bytes_up_to_the_data_set() -> None:
    start = file_header(sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax_uid=EXPLICIT)
    assert int.from_bytes(start[140:144], "little") == len(start) - 144


@pytest.mark.interop
def test_dcmdump_reads_a_file_without_complaint(tmp_path: Path) -> None:
    program = system_program("dcmdump")
    path = tmp_path / "instance.dcm"
    start = file_header(sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax_uid=EXPLICIT)
    path.write_bytes(start + PATIENT_ID)
    done = subprocess.run(
        [program, str(path)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "TEST" in done.stdout
