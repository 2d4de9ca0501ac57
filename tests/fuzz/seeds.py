"""Inputs to begin fuzzing with: conversations and data sets as they should be, and a few that should not.

python -m tests.fuzz.seeds FOLDER
"""

import hashlib
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from medaet.network import dimse
from medaet.network.dimse import encode_command
from medaet.network.pdu import HEADER
from tests.faults.senders import CT, EXPLICIT, RELEASE, Instances, data_pdus, request

ECHO, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
TALK = b"\0"


def seeds() -> Iterator[bytes]:
    """Yield inputs of `one_input`."""
    uid, content = Instances(side=4).next(1)
    asked = request("MEDAET", [(CT, EXPLICIT), (ECHO, IMPLICIT)])
    echo = _command(3, dimse.C_ECHO_RQ, ECHO, "", dimse.NO_DATA_SET)
    store = _command(1, dimse.C_STORE_RQ, CT, uid, 1) + data_pdus(content)
    abort = HEADER.pack(7, 4) + bytes(4)
    yield TALK + asked + echo + RELEASE
    yield TALK + asked + store + RELEASE
    yield TALK + asked + store + echo + store + abort
    yield TALK + asked + store[:-100]
    yield TALK + asked + _command(1, dimse.N_ACTION_RQ, CT, uid, 1) + data_pdus(content) + RELEASE
    yield TALK + asked + _command(1, 0x8001, CT, uid, dimse.NO_DATA_SET) + RELEASE
    yield TALK + request("OTHER", [(CT, EXPLICIT)])
    yield TALK + abort
    yield TALK + asked + data_pdus(content)
    yield TALK + asked + HEADER.pack(4, 0xFFFFFFFF)
    for kind in range(200, 206):
        yield bytes((kind,)) + content
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = squeezer.compress(content) + squeezer.flush()
    yield from (bytes((kind,)) + deflated for kind in range(200, 206))


def _command(context_id: int, field: int, sop_class: str, uid: str, kind: int) -> bytes:
    instance = [(dimse.AFFECTED_SOP_INSTANCE_UID, uid)] if uid else []
    return encode_command(
        context_id,
        [
            (dimse.AFFECTED_SOP_CLASS_UID, sop_class),
            (dimse.COMMAND_FIELD, field),
            (dimse.MESSAGE_ID, 1),
            (dimse.DATA_SET_TYPE, kind),
            *instance,
        ],
    )


def main() -> None:
    """Write the seeds into a folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for content in seeds():
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


if __name__ == "__main__":
    main()
