"""C-FIND to a peer: how many instances a series has at its source (PS3.4 Annex C)."""

from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from medaet.config.model import Peer
from medaet.errors import PeerRefusedError, PeerUnavailableError
from medaet.network.scu import association, named
from medaet.network.status import SUCCESS

RESPONSE_SECONDS = 10.0
PENDING = (0xFF00, 0xFF01)


def count_instances(
    peer: Peer, calling_ae_title: str, study_instance_uid: str, series_instance_uid: str
) -> int | None:
    """Ask a peer for the Number of Series Related Instances (0020,1209) of a series.

    Returns:
        The number; None when the peer does not know the series, or does not count.

    Raises:
        PeerUnavailableError: no connection, no association, or no answer.
        PeerRefusedError: it takes associations from us, but no such query.
    """
    model = StudyRootQueryRetrieveInformationModelFind
    wanted = [build_context(model)]
    with association(peer, calling_ae_title, wanted, response_seconds=RESPONSE_SECONDS) as open_:
        if not open_.accepted_contexts:
            raise PeerRefusedError(
                f"{named(peer)} does not accept C-FIND; set count_by_query = false for it"
            )
        responses = list(open_.send_c_find(_keys(study_instance_uid, series_instance_uid), model))
    status = getattr(responses[-1][0], "Status", None) if responses else None
    if status is None:
        raise PeerUnavailableError(f"{named(peer)} did not answer the C-FIND")
    if status != SUCCESS:
        raise PeerRefusedError(f"{named(peer)} refused the C-FIND with status {status:04X}")
    return _number(
        [found for answer, found in responses if answer.Status in PENDING and found is not None],
        series_instance_uid,
    )


def _keys(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "SERIES"
    keys.StudyInstanceUID = study_instance_uid
    keys.SeriesInstanceUID = series_instance_uid
    keys.NumberOfSeriesRelatedInstances = None
    return keys


def _number(found: list[Dataset], series_instance_uid: str) -> int | None:
    """Read the number from the match that is the series; some peers ignore keys, and answer with all they have."""
    for one in found:
        if str(one.get("SeriesInstanceUID", "")) == series_instance_uid:
            number = one.get("NumberOfSeriesRelatedInstances")
            return None if number is None else int(number)
    return None
