"""Who may associate, from where, and how many at once."""

import pytest

from medaet.config.model import Alias, Listener, Peer
from medaet.network.admission import Admission, Caller, Refusal, Seats

SCANNER = Peer(name="scanner", ae_title="SCANNER", host="10.0.0.1")
NEAR, FAR = "10.0.0.7", "192.168.1.7"
PRINT, OTHER_PRINT = "a" * 64, "b" * 64
UNKNOWN, FULL = (1, 1, 3), (2, 3, 2)


def _admission(
    *peers: Peer, maximum: int = 2, per_address: int | None = None, is_open: bool = False
) -> Admission:
    listener = Listener(aliases=(Alias(ae_title="STAT"),), accept_unknown_peers=is_open)
    return Admission(listener, peers or [SCANNER], Seats(maximum, per_address=per_address))


def _caller(
    calling: str = "SCANNER",
    called: str = "MEDAET",
    address: str = NEAR,
    certificate: str | None = None,
) -> Caller:
    return Caller(calling, called, address, certificate)


def _codes(refusal: Refusal | None) -> tuple[int, int, int] | None:
    if refusal is None:
        return None
    return refusal.result, refusal.source, refusal.diagnostic


def _peer(**values: object) -> Peer:
    return Peer.model_validate({**SCANNER.model_dump(), **values})


@pytest.mark.parametrize("called", ["MEDAET", "STAT"])
def test_configured_peer_is_let_in_under_every_title_of_ours(called: str) -> None:
    assert _admission().admit(_caller(called=called)) is None


def test_unknown_called_title_is_refused_for_good() -> None:
    assert _codes(_admission().admit(_caller(called="medaet"))) == (1, 1, 7)


def test_unknown_calling_title_is_refused_for_good() -> None:
    assert _codes(_admission().admit(_caller("STRANGER"))) == UNKNOWN


def test_unknown_calling_title_is_let_in_where_strangers_are_accepted() -> None:
    assert _admission(is_open=True).admit(_caller("STRANGER")) is None


@pytest.mark.parametrize("title", ["A\0B", "A\nB", "A\ufffdB"])
def test_title_that_is_no_text_is_refused_even_where_strangers_are_accepted(title: str) -> None:
    refused = _codes(_admission(is_open=True).admit(_caller(title)))
    assert refused == (None if title.isprintable() else UNKNOWN)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.7", None),
        ("10.0.0.8", UNKNOWN),
        ("10.0.4.200", None),
        ("::ffff:10.0.0.7", None),
        ("fd00::5", None),
        ("fd01::5", UNKNOWN),
        ("fe80::1%eth0", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_peer_is_let_in_from_its_addresses_only(
    address: str, expected: tuple[int, int, int] | None
) -> None:
    peer = _peer(addresses=["10.0.0.7", "10.0.4.0/24", "fd00::/64"])
    assert _codes(_admission(peer).admit(_caller(address=address))) == expected


def test_address_that_is_refused_is_named_in_the_remedy() -> None:
    refusal = _admission(_peer(addresses=["10.0.0.7"])).admit(_caller(address=FAR))
    assert refusal is not None
    assert FAR in refusal.remedy
    assert "scanner" in refusal.remedy


@pytest.mark.parametrize(
    ("certificate", "expected"), [(PRINT, None), (OTHER_PRINT, UNKNOWN), (None, UNKNOWN)]
)
def test_peer_with_a_certificate_is_let_in_with_that_one_only(
    certificate: str | None, expected: tuple[int, int, int] | None
) -> None:
    peer = _peer(certificate_sha256=":".join(["AA"] * 32))
    assert _codes(_admission(peer).admit(_caller(certificate=certificate))) == expected


def test_peers_that_share_a_title_are_told_apart_by_their_addresses() -> None:
    here = _peer(addresses=["10.0.0.0/24"], certificate_sha256=PRINT)
    there = _peer(name="other", addresses=["192.168.0.0/16"])
    admission = _admission(here, there)
    assert admission.admit(_caller(address=FAR)) is None
    assert _codes(admission.admit(_caller(address=NEAR))) == UNKNOWN
    assert admission.admit(_caller(address=NEAR, certificate=PRINT)) is None


def test_association_beyond_the_limit_is_refused_until_one_leaves() -> None:
    admission = _admission(maximum=1)
    assert admission.admit(_caller()) is None
    assert _codes(admission.admit(_caller(address=FAR))) == FULL
    admission.leave(_caller())
    assert admission.admit(_caller(address=FAR)) is None


def test_association_beyond_the_limit_of_its_address_is_refused_alone() -> None:
    admission = _admission(maximum=4, per_address=2)
    assert [_codes(admission.admit(_caller())) for _ in range(3)] == [None, None, FULL]
    assert admission.admit(_caller(address=FAR)) is None
    admission.leave(_caller())
    assert admission.admit(_caller()) is None


def test_refused_association_takes_no_seat() -> None:
    admission = _admission(maximum=1)
    admission.admit(_caller("STRANGER"))
    assert admission.admit(_caller()) is None


def test_congestion_refuses_for_now_and_says_why() -> None:
    shortage: list[str] = ["the spool is nearly full"]
    admission = Admission(Listener(), [SCANNER], Seats(1), lambda: next(iter(shortage), None))
    refusal = admission.admit(_caller())
    assert _codes(refusal) == (2, 3, 1)
    assert refusal is not None
    assert "nearly full" in refusal.reason
    shortage.clear()
    assert admission.admit(_caller()) is None


def test_seats_are_shared_between_processes() -> None:
    seats = Seats(3, per_address=2, processes=2)
    seats.sit(0)
    assert seats.take(NEAR)
    seats.sit(1)
    assert seats.take(NEAR)
    assert not seats.take(NEAR)
    assert seats.take(FAR)
    assert not seats.take("10.0.0.9")


def test_seats_of_a_process_that_died_are_free_again() -> None:
    seats = Seats(1, processes=2)
    seats.sit(1)
    assert seats.take(NEAR)
    seats.clear(1)
    seats.sit(0)
    assert seats.take(NEAR)


def test_seat_given_back_twice_is_one_seat() -> None:
    seats = Seats(1)
    assert seats.take(NEAR)
    seats.give_back(NEAR)
    seats.give_back(NEAR)
    assert seats.take(NEAR)
    assert not seats.take(FAR)
