"""A simulated scanner: sends the DICOM files of a folder in one association, as slowly as a real one if wished.

python -m medaet.testing.scanner FOLDER --port 11112 --called MEDAET --calling CT1 --pause 0.05
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from medaet.config.model import Peer
from medaet.errors import PeerUnavailableError
from medaet.network.scu import SendOutcome, send

NOT_REACHED = 3


def scan(
    folder: Path,
    peer: Peer,
    calling_ae_title: str,
    *,
    pause_seconds: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[SendOutcome]:
    """Send every file below a folder, in the order of the names.

    Args:
        folder: Holds DICOM files, at any depth.
        peer: Who gets them.
        calling_ae_title: The scanner's.
        pause_seconds: Between two instances, as a scanner reconstructs them one by one.
        sleep: Waits for so many seconds.

    Yields:
        One outcome for each file.

    Raises:
        PeerUnavailableError: there was no association.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, outcome in enumerate(send(peer, calling_ae_title, paths), start=1):
        yield outcome
        if pause_seconds and number < len(paths):
            sleep(pause_seconds)


def main() -> None:
    """Send a folder; exit 0 when all was stored, 1 when something was not, 3 when nobody answered."""
    parser = argparse.ArgumentParser(prog="medaet.testing.scanner", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", default="MEDAET")
    parser.add_argument("--calling", default="SCANNER")
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args()
    peer = Peer(name="scanned-for", ae_title=options.called, host=options.host, port=options.port)
    outcomes = scan(options.folder, peer, options.calling, pause_seconds=options.pause)
    try:
        failed = [outcome for outcome in outcomes if outcome.error is not None]
    except PeerUnavailableError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(NOT_REACHED)
    for outcome in failed:
        sys.stderr.write(f"{outcome.path.name}: {outcome.error}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
