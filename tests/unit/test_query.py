"""C-FIND for the number of instances of a series."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from medaet.config.model import Peer
from medaet.errors import PeerRefusedError, PeerUnavailableError
from medaet.network.query import count_instances

Answers = Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]
STUDY, SERIES = "1.2.3", "1.2.3.4"


@contextmanager
def source(
    answers: Answers, model: str = StudyRootQueryRetrieveInformationModelFind
) -> Iterator[Peer]:
    """Run a query SCP."""
    entity = AE("PACS")
    entity.add_supported_context(model)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answers)]
    )
    try:
        port = int(server.server_address[1])
        yield Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
    finally:
        server.shutdown()


def match(uid: str, number: int | None) -> Dataset:
    found = Dataset()
    found.QueryRetrieveLevel = "SERIES"
    found.SeriesInstanceUID = uid
    if number is not None:
        found.NumberOfSeriesRelatedInstances = number
    return found


def test_peer_is_asked_for_one_series_and_answers_its_number() -> None:
    asked = []

    def answers(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(event.identifier)
        yield 0xFF00, match("1.2.3.5", 7)
        yield 0xFF00, match(SERIES, 120)

    with source(answers) as peer:
        assert count_instances(peer, "MEDAET", STUDY, SERIES) == 120
    (keys,) = asked
    assert (keys.QueryRetrieveLevel, keys.StudyInstanceUID) == ("SERIES", STUDY)
    assert keys.SeriesInstanceUID == SERIES
    assert "NumberOfSeriesRelatedInstances" in keys


def test_series_that_the_peer_does_not_know_or_count_has_no_number() -> None:
    def other(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, match("1.2.3.5", 7)

    def uncounted(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, match(SERIES, None)

    for answers in (other, uncounted):
        with source(answers) as peer:
            assert count_instances(peer, "MEDAET", STUDY, SERIES) is None


def test_peer_that_refuses_the_query_is_named() -> None:
    def refused(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xA700, None

    with source(refused) as peer, pytest.raises(PeerRefusedError, match="A700"):
        count_instances(peer, "MEDAET", STUDY, SERIES)
    with (
        source(refused, Verification) as peer,
        pytest.raises(PeerRefusedError, match="count_by_query = false"),
    ):
        count_instances(peer, "MEDAET", STUDY, SERIES)


def test_peer_that_is_not_there_is_unavailable(free_port: int) -> None:
    peer = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=free_port)
    with pytest.raises(PeerUnavailableError, match="cannot be reached"):
        count_instances(peer, "MEDAET", STUDY, SERIES)
