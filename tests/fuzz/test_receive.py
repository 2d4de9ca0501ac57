"""P-11 and P-12: what fuzzing found worth keeping, and new damage to it, breaks no rule of the receiver."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaet.network.pdu import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF, RELEASE_RP
from tests.fuzz.corpus import inputs
from tests.fuzz.receive import converse, one_input
from tests.fuzz.seeds import seeds

SEEDS = list(seeds())


def test_corpus_breaks_no_rule() -> None:
    corpus = inputs()
    assert len(corpus) > 100
    for content in corpus:
        one_input(content)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_conversation_breaks_no_rule(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "repeat", "insert"]))
        if kind == "flip":
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at : at + data.draw(st.integers(1, 40))]
        elif kind == "repeat":
            content[at:at] = content[at : at + data.draw(st.integers(1, 400))]
        else:
            content[at:at] = data.draw(st.binary(max_size=20))
        if not content:
            return
    one_input(bytes(content))


@pytest.mark.parametrize(
    ("number", "kinds"),
    [
        (0, [ASSOCIATE_AC, DATA_TF, RELEASE_RP]),
        (1, [ASSOCIATE_AC, DATA_TF, RELEASE_RP]),
        (2, [ASSOCIATE_AC, DATA_TF, DATA_TF, DATA_TF]),
        (3, [ASSOCIATE_AC]),
        (4, [ASSOCIATE_AC, DATA_TF, RELEASE_RP]),
        (5, [ASSOCIATE_AC, RELEASE_RP]),
        (6, [ASSOCIATE_RJ]),
        (7, []),
        (8, [ASSOCIATE_AC, ABORT]),
        (9, [ASSOCIATE_AC, ABORT]),
    ],
)
def test_seed_is_answered_as_the_standard_says(number: int, kinds: list[int]) -> None:
    assert [kind for kind, _ in converse(SEEDS[number][1:])] == kinds


def _event(kind: int) -> bytes:
    return {1: SEEDS[0][1:].split(b"\4\0\0\0\0", 1)[0]}.get(
        kind, bytes((kind, 0, 0, 0, 0, 4)) + bytes(4)
    )


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 5, 6, 8, 0xFF])
def test_anything_but_a_request_comes_too_early(kind: int) -> None:
    """PS3.8 Table 9-10, state 2: an A-ABORT, and nothing else."""
    assert [kind for kind, _ in converse(_event(kind) + bytes(20))] == [ABORT]


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 6, 8, 0xFF])
def test_anything_but_data_release_or_abort_comes_too_late(kind: int) -> None:
    """PS3.8 Table 9-10, state 6: an A-ABORT by the service provider."""
    answers = converse(SEEDS[0][1:].split(b"\5\0\0\0\0\4")[0] + _event(kind))
    assert [kind for kind, _ in answers] == [ASSOCIATE_AC, DATA_TF, ABORT]
    assert answers[-1][1][2] == 2


def test_connection_without_a_word_gets_none() -> None:
    one_input(b"")
    assert converse(b"") == []
