"""A stand-in PACS: keeps whatever is sent to it as files, or answers what it was told to.

python -m medaet.testing.pacs --port 11113 --ae-title PACS --folder received
"""

import argparse
import os
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification

from medaet import logs
from medaet.dicom.identity import MAXIMUM_UID_LENGTH, checked_uid
from medaet.network.status import OUT_OF_RESOURCES, SUCCESS, is_stored
from medaet.network.toolkit import application_entity

log = structlog.get_logger()

DIMSE_SECONDS = 60.0


class StandInPacs:
    """A storage SCP on a loopback port, for demonstrations and tests; a context manager.

    Every instance becomes `<SOP Instance UID>.dcm`, complete under that name from the first moment.

    Args:
        folder: Where instances go; made when it is missing.
        ae_title: Associations that call another title are rejected.
        port: 0 for any free port.
        statuses: DIMSE statuses of the first C-STORE responses; every later one is Success. Only what is answered
            with Success or a warning is kept.
        refused_sop_classes: UIDs whose presentation contexts are not accepted.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "PACS",
        port: int = 0,
        statuses: Iterable[int] = (),
        refused_sop_classes: Iterable[str] = (),
    ) -> None:
        self.folder = folder
        self._statuses = list(statuses)
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        refused = frozenset(refused_sop_classes)
        entity = application_entity(ae_title, dimse_seconds=DIMSE_SECONDS)
        entity.require_called_aet = True
        entity.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            if context.abstract_syntax not in refused:
                entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        self._server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._on_store)]
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def received(self) -> list[Path]:
        """What it keeps, by SOP Instance UID."""
        return sorted(self.folder.glob("*.dcm"))

    def on(self, event: object, handler: Callable[[evt.Event], object]) -> None:
        """Call `handler` for a pynetdicom event of its associations, in place of what it did for C-STOREs."""
        self._server.bind(event, handler)

    def close(self) -> None:
        """Stop listening, and abort what is open."""
        self._server.shutdown()
        for association in self._server.active_associations:
            association.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _on_store(self, event: evt.Event) -> int:
        with self._lock:
            status = self._statuses.pop(0) if self._statuses else SUCCESS
        uid = str(event.request.AffectedSOPInstanceUID)
        if is_stored(status):
            name = checked_uid(uid, "Affected SOP Instance UID")
            part = self.folder / f"{name}.{threading.get_ident()}.part"
            part.write_bytes(event.encoded_dataset())
            part.rename(self.folder / f"{name}.dcm")
        log.info(
            "instance.received", sop_instance_uid=uid[:MAXIMUM_UID_LENGTH], status=f"{status:04X}"
        )
        return status


def main() -> None:
    """Run a stand-in PACS until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="medaet.testing.pacs", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ae-title", default="PACS")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--status",
        type=lambda text: int(text, 16),
        action="append",
        default=[],
        metavar="HEX",
        help=f"answer the next C-STORE with this status, such as {OUT_OF_RESOURCES:04X}; repeatable",
    )
    parser.add_argument("--refuse", action="append", default=[], metavar="SOP_CLASS_UID")
    options = parser.parse_args()
    logs.set_up()
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    with StandInPacs(
        options.folder,
        ae_title=options.ae_title,
        port=options.port,
        statuses=options.status,
        refused_sop_classes=options.refuse,
    ) as pacs:
        log.info("pacs.started", port=pacs.port, ae_title=options.ae_title, pid=os.getpid())
        signal.sigwait(stop)


if __name__ == "__main__":
    main()
