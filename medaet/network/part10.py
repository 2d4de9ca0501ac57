"""The DICOM file format around received bytes (PS3.10 §7.1): what comes before the data set, written by us."""

import struct

from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID

PREAMBLE = bytes(128)
"""Zeros: a C-STORE carries no preamble, and 128 free bytes could make a file executable (PS3.10 §7.5)."""


def file_header(*, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Encode preamble, prefix and file meta information; the data set follows as it was received.

    The same instance gets the same bytes from every sender and every version of this software, so that a repeated
    send is recognised: neither AE titles nor the implementation version name are written.

    Source:
        PS3.10 §7.1, Table 7.1-1.
    """
    elements = b"".join(
        (
            _element(0x0001, b"OB", b"\x00\x01"),
            _element(0x0002, b"UI", _uid(sop_class_uid)),
            _element(0x0003, b"UI", _uid(sop_instance_uid)),
            _element(0x0010, b"UI", _uid(transfer_syntax_uid)),
            _element(0x0012, b"UI", _uid(IMPLEMENTATION_CLASS_UID)),
        )
    )
    length = _element(0x0000, b"UL", struct.pack("<L", len(elements)))
    return PREAMBLE + b"DICM" + length + elements


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """Encode one element of group 0002, explicit VR little endian (PS3.5 §7.1.2)."""
    start = struct.pack("<HH2s", 0x0002, number, vr)
    if vr == b"OB":
        return start + struct.pack("<HL", 0, len(value)) + value
    return start + struct.pack("<H", len(value)) + value


def _uid(value: str) -> bytes:
    """Encode a UID with an even length (PS3.5 §9.1)."""
    encoded = value.encode("ascii")
    return encoded + b"\0" * (len(encoded) % 2)
