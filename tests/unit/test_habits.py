"""Association requests that come again and again."""

import pytest

from medaet.network.habits import LONGEST_REMEMBERED_BYTES, understood
from medaet.network.pdu import HEADER, ProtocolError
from tests.faults.senders import CT, EXPLICIT, request

COMMITMENT = "1.2.840.10008.1.20.1"
BODY = request("MEDAET", [(CT, EXPLICIT), (COMMITMENT, EXPLICIT)])[HEADER.size :]


def test_the_same_request_is_taken_apart_once() -> None:
    first = understood(BODY, commitment=False)
    assert understood(bytes(bytearray(BODY)), commitment=False) is first


def test_what_is_offered_here_makes_another_answer() -> None:
    _, without = understood(BODY, commitment=False)
    _, offered = understood(BODY, commitment=True)
    assert (list(without.contexts), list(offered.contexts)) == ([1], [1, 3])


def test_another_title_gets_an_answer_of_its_own() -> None:
    other = BODY.replace(b"MEDAET  ", b"MEDAET 2")
    assert other != BODY
    read, agreement = understood(other, commitment=False)
    assert read.called_ae_title == "MEDAET 2"
    assert b"MEDAET 2" in agreement.answer


def test_a_request_that_is_longer_than_any_habit_is_not_kept() -> None:
    padding = LONGEST_REMEMBERED_BYTES
    body = BODY + b"\x7f\0" + padding.to_bytes(2, "big") + bytes(padding)
    first, again = (understood(body, commitment=False) for _ in range(2))
    assert first == again
    assert first is not again


def test_nonsense_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ProtocolError, match="cut short"):
            understood(BODY[:20], commitment=False)
