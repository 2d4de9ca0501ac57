"""UIDs of our own: fixed ones, and those that follow from the work they name."""

import hashlib
import uuid

from medaet import errors

IMPLEMENTATION_CLASS_UID = "2.25.288586204711240158211526353276291012645"
"""Implementation Class UID of MedAET (PS3.7 §D.3.3.2); a UUID made once, under the root of PS3.5 §B.2."""

IMPLEMENTATION_VERSION_NAME = "MEDAET_0_1"
"""Implementation Version Name, at most 16 characters (PS3.7 §D.3.3.2)."""


def derived_uid(*parts: str) -> str:
    """Derive a UID that the same parts always give, and other parts never.

    Args:
        parts: What the UID names, the order counts; at least one.

    Returns:
        "2.25." and the decimal form of a version 8 UUID made of the parts' SHA-256.

    Source:
        PS3.5 §B.2; RFC 9562 §5.8.
    """
    if not parts:
        raise errors.EncodingError("a derived UID needs at least one part")
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    number = bytearray(digest.digest()[:16])
    number[6] = (number[6] & 0x0F) | 0x80
    number[8] = (number[8] & 0x3F) | 0x80
    return f"2.25.{uuid.UUID(bytes=bytes(number)).int}"
