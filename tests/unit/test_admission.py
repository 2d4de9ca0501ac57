"""Who may associate, and how many at once."""

import pytest

from medaet.config.model import Alias, Listener, Peer
from medaet.network.admission import Admission, Places, Refusal

SCANNER = Peer(name="scanner", ae_title="SCANNER", host="10.0.0.1")


def _admission(maximum: int = 2, *, is_open: bool = False) -> Admission:
    listener = Listener(aliases=(Alias(ae_title="STAT"),), accept_unknown_peers=is_open)
    return Admission(listener, [SCANNER], Places(maximum))


def _codes(refusal: Refusal | None) -> tuple[int, int, int] | None:
    if refusal is None:
        return None
    return refusal.result, refusal.source, refusal.diagnostic


@pytest.mark.parametrize("called", ["MEDAET", "STAT"])
def test_configured_peer_is_let_in_under_every_title_of_ours(called: str) -> None:
    assert _admission().admit(calling_ae_title="SCANNER", called_ae_title=called) is None


def test_unknown_called_title_is_refused_for_good() -> None:
    refusal = _admission().admit(calling_ae_title="SCANNER", called_ae_title="medaet")
    assert _codes(refusal) == (1, 1, 7)


def test_unknown_calling_title_is_refused_for_good() -> None:
    refusal = _admission().admit(calling_ae_title="STRANGER", called_ae_title="MEDAET")
    assert _codes(refusal) == (1, 1, 3)


def test_unknown_calling_title_is_let_in_where_strangers_are_accepted() -> None:
    admission = _admission(is_open=True)
    assert admission.admit(calling_ae_title="STRANGER", called_ae_title="MEDAET") is None


def test_association_beyond_the_limit_is_refused_until_one_leaves() -> None:
    admission = _admission(maximum=1)
    assert admission.admit(calling_ae_title="SCANNER", called_ae_title="MEDAET") is None
    refusal = admission.admit(calling_ae_title="SCANNER", called_ae_title="MEDAET")
    assert _codes(refusal) == (2, 3, 2)
    admission.leave()
    assert admission.admit(calling_ae_title="SCANNER", called_ae_title="MEDAET") is None


def test_refused_association_takes_no_place() -> None:
    admission = _admission(maximum=1)
    admission.admit(calling_ae_title="STRANGER", called_ae_title="MEDAET")
    assert admission.admit(calling_ae_title="SCANNER", called_ae_title="MEDAET") is None


def test_places_are_shared_between_processes() -> None:
    places = Places(3, processes=2)
    places.sit(0)
    assert places.take()
    assert places.take()
    places.sit(1)
    assert places.take()
    assert not places.take()


def test_places_of_a_process_that_died_are_free_again() -> None:
    places = Places(1, processes=2)
    places.sit(0)
    assert places.take()
    places.clear(0)
    places.sit(1)
    assert places.take()
