"""Storage Commitment Push Model as SCP (PS3.4 Annex J): requests to values, and answers to reports."""

from io import BytesIO

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from medaet.dicom.identity import checked_uid
from medaet.errors import InstanceError
from medaet.store.commitments import Commitment, Reference

WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Action Type ID and Event Type IDs (PS3.4 §J.3.2, §J.3.3)."""

MOST_REFERENCES = 100_000


def decode_request(content: bytes, transfer_syntax: str) -> tuple[str, list[Reference]]:
    """Read the Action Information of a request.

    Returns:
        The Transaction UID, and what is asked for.

    Raises:
        InstanceError: it does not hold what Table J.3-1 of PS3.4 asks for.
    """
    syntax = UID(transfer_syntax)
    try:
        found = read_dataset(
            BytesIO(content), syntax.is_implicit_VR, syntax.is_little_endian, defer_size=None
        )
        transaction = str(found.get("TransactionUID", ""))
        items = list(found.get("ReferencedSOPSequence") or [])
        pairs = [
            (
                str(item.get("ReferencedSOPClassUID", "")),
                str(item.get("ReferencedSOPInstanceUID", "")),
            )
            for item in items
        ]
    except Exception as error:  # pydicom raises whatever it meets first in what is no data set
        raise InstanceError(
            f"the request cannot be read: {type(error).__name__}"  # its message may quote the data set
        ) from error
    if not 1 <= len(pairs) <= MOST_REFERENCES:
        raise InstanceError(f"the request refers to {len(pairs)} instances")
    return checked_uid(transaction, "Transaction UID"), [
        Reference(
            checked_uid(sop_class, "Referenced SOP Class UID"),
            checked_uid(uid, "Referenced SOP Instance UID"),
        )
        for sop_class, uid in pairs
    ]


def event_of(commitment: Commitment) -> tuple[int, Dataset]:
    """Return the Event Type ID and the Event Information of an answer (PS3.4 Table J.3-2).

    There is no Retrieve AE Title: what is kept can not be retrieved.
    """
    event = Dataset()
    event.TransactionUID = commitment.transaction_uid
    if commitment.committed or not commitment.failed:
        event.ReferencedSOPSequence = [_item(one) for one in commitment.committed]
    if not commitment.failed:
        return ALL_COMMITTED, event
    event.FailedSOPSequence = [_item(one) for one, _ in commitment.failed]
    for item, (_, reason) in zip(event.FailedSOPSequence, commitment.failed, strict=True):
        item.FailureReason = reason
    return SOME_FAILED, event


def encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Encode a data set for a presentation context."""
    syntax = UID(transfer_syntax)
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax.is_implicit_VR, True
    write_dataset(stream, dataset)
    return bytes(stream.getvalue())


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item
