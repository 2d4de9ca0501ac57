"""The tables of docs/conformance.md, made of the code that they describe.

python -m tests.architecture.conformance

writes them into the page, between their marks; a test sees that they are there.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from medaet.config.model import Listener
from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from medaet.network import association, contexts, status
from medaet.network.negotiation import MAXIMUM_PDU_BYTES
from medaet.network.tls import CIPHERS

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
MARK = re.compile(r"<!-- (?P<name>[a-z-]+) -->\n.*?<!-- end -->", re.DOTALL)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _sop_classes() -> str:
    found = [
        (name, f"`{uid}`")
        for uid, (name, kind, _, retired, _) in UID_dictionary.items()
        if kind == "SOP Class" and not retired and contexts.is_stored(uid)
    ]
    return _table(("SOP class", "UID"), sorted(found))


def _refused() -> str:
    rows = ((name, f"`{uid}`") for uid, name in contexts.REFUSED_STORAGE.items())
    return _table(("SOP class", "UID"), rows)


def _transfer_syntaxes() -> str:
    rows = ((UID(str(one)).name, f"`{one}`") for one in contexts.TRANSFER_SYNTAXES)
    return _table(("Transfer syntax", "UID"), rows)


def _native() -> str:
    rows = ((UID(str(one)).name, f"`{one}`") for one in contexts.NATIVE)
    return _table(("Transfer syntax", "UID"), rows)


def _association() -> str:
    listener = Listener()
    return _table(
        ("Parameter", "Value", "Changed by"),
        [
            ("Application context name", "`1.2.840.10008.3.1.1.1`", ""),
            ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`", ""),
            ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`", ""),
            ("AE title", f"`{listener.ae_title}`", "`listener.ae_title`, `listener.aliases`"),
            ("Port", listener.port, "`listener.port`, `listener.tls.port`"),
            ("Maximum PDU length received", f"{MAXIMUM_PDU_BYTES} bytes", ""),
            (
                "Simultaneous associations",
                f"{listener.maximum_associations}, "
                f"{listener.maximum_associations_per_address} from one address",
                "`listener.maximum_associations`, `listener.maximum_associations_per_address`",
            ),
            ("Asynchronous operations", "not negotiated", ""),
            ("ARTIM timer", f"{association.REQUEST_SECONDS:g} s", ""),
            (
                "Idle time-out",
                f"{listener.idle_timeout_seconds:g} s",
                "`listener.idle_timeout_seconds`",
            ),
            (
                "Longest data set",
                f"{listener.maximum_instance_bytes} bytes",
                "`listener.maximum_instance_bytes`",
            ),
        ],
    )


def _statuses() -> str:
    answers = (
        (status.SUCCESS, "Success", "stored as *durability* promises; also for bytes known before"),
        (
            status.OUT_OF_RESOURCES,
            "Refused: out of resources",
            "the disk or its reserve is full, or the database does not answer: send again later",
        ),
        (
            status.DOES_NOT_MATCH_SOP_CLASS,
            "Error: data set does not match SOP class",
            "SOP Class or Instance UID differ between command, data set and presentation context",
        ),
        (
            status.CANNOT_UNDERSTAND,
            "Error: cannot understand",
            "cut short, nested too deep, without an identifying UID, too long; the Error Comment says which",
        ),
        (status.PROCESSING_FAILURE, "Processing failure", "a defect; it is logged with its place"),
        (status.SOP_CLASS_NOT_SUPPORTED, "SOP class not supported", "C-ECHO in another context"),
        (
            status.UNRECOGNISED_OPERATION,
            "Unrecognised operation",
            "anything but C-STORE, C-ECHO and, where it is offered, N-ACTION",
        ),
    )
    return _table(
        ("Status", "Meaning", "When"),
        ((f"{code:04X}", meaning, when) for code, meaning, when in answers),
    )


def _ciphers() -> str:
    return _table(
        ("Profile", "Cipher suites of TLS 1.2 (OpenSSL)"),
        ((name, f"`{suites}`") for name, suites in CIPHERS.items()),
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "association": _association,
    "ciphers": _ciphers,
    "native": _native,
    "refused": _refused,
    "sop-classes": _sop_classes,
    "statuses": _statuses,
    "transfer-syntaxes": _transfer_syntaxes,
}


def filled(page: str) -> str:
    """Return the page with its tables as they should be."""
    return MARK.sub(
        lambda found: f"<!-- {found['name']} -->\n{TABLES[found['name']]()}\n<!-- end -->", page
    )


def main() -> None:
    """Write the tables into the page."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
