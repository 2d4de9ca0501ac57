"""Which presentation contexts are accepted and proposed."""

import pytest
from pydicom import uid
from pynetdicom.presentation import PresentationContext, build_context

from medaet.network.contexts import is_stored
from medaet.network.presentation import MAXIMUM_CONTEXTS, proposed, supported

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
PRIVATE = "1.3.46.670589.11.0.0.12.1"
JPIP = "1.2.840.10008.1.2.4.94"


def _pairs(contexts: list[PresentationContext]) -> list[tuple[str, list[str]]]:
    return [
        (str(one.abstract_syntax), [str(syntax) for syntax in one.transfer_syntax])
        for one in contexts
    ]


@pytest.mark.parametrize(
    "sop_class_uid",
    [
        pytest.param(CT, id="ct"),
        pytest.param("1.2.840.10008.5.1.4.1.1.66.7", id="label-map-segmentation"),
        pytest.param("1.2.840.10008.5.1.4.1.1.5", id="retired-nuclear-medicine"),
        pytest.param("1.2.840.10008.5.1.4.1.1.1.2.1", id="mammography-for-processing"),
        pytest.param("1.2.840.10008.5.1.1.29", id="hardcopy-grayscale"),
        pytest.param(PRIVATE, id="private"),
        pytest.param("1.2.840.10008.5.1.4.1.1.999.1", id="newer-than-this-software"),
    ],
)
def test_storage_class_is_accepted(sop_class_uid: str) -> None:
    assert is_stored(sop_class_uid)


@pytest.mark.parametrize(
    "sop_class_uid",
    [
        pytest.param("1.2.840.10008.1.3.10", id="media-storage-directory"),
        pytest.param("1.2.840.10008.1.20.1", id="storage-commitment"),
        pytest.param("1.2.840.10008.5.1.4.1.2.1.1", id="patient-root-find"),
        pytest.param("1.2.840.10008.5.1.4.38.1", id="hanging-protocol"),
        pytest.param("1.2.840.10008.1.2.1", id="a-transfer-syntax"),
        pytest.param("1.2.840.10008.4.2", id="the-storage-service-itself"),
        pytest.param("", id="empty"),
        pytest.param("../../etc", id="no-uid"),
    ],
)
def test_class_without_a_patients_study_is_refused(sop_class_uid: str) -> None:
    assert not is_stored(sop_class_uid)


def test_supported_contexts_keep_the_requestors_order_of_transfer_syntaxes() -> None:
    requested = [build_context(CT, [uid.JPEG2000Lossless, uid.ImplicitVRLittleEndian])]
    expected = [(CT, [str(uid.JPEG2000Lossless), str(uid.ImplicitVRLittleEndian)])]
    assert _pairs(supported(requested)) == expected


def test_supported_contexts_leave_out_transfer_syntaxes_that_keep_pixels_elsewhere() -> None:
    requested = [build_context(CT, [JPIP, uid.ExplicitVRLittleEndian])]
    assert _pairs(supported(requested)) == [(CT, [str(uid.ExplicitVRLittleEndian)])]


def test_supported_contexts_unite_the_proposals_for_one_class() -> None:
    requested = [
        build_context(CT, [uid.ExplicitVRLittleEndian]),
        build_context(CT, [uid.RLELossless]),
    ]
    expected = [(CT, [str(uid.ExplicitVRLittleEndian), str(uid.RLELossless)])]
    assert _pairs(supported(requested)) == expected


def test_supported_contexts_are_empty_when_no_transfer_syntax_can_be_stored() -> None:
    assert supported([build_context(CT, [JPIP])]) == []


def test_supported_contexts_hold_verification_in_a_native_transfer_syntax_only() -> None:
    requested = [build_context(VERIFICATION, [uid.RLELossless, uid.ImplicitVRLittleEndian])]
    assert _pairs(supported(requested)) == [(VERIFICATION, [str(uid.ImplicitVRLittleEndian)])]


def test_proposed_contexts_offer_both_native_transfer_syntaxes_apart() -> None:
    explicit, implicit = str(uid.ExplicitVRLittleEndian), str(uid.ImplicitVRLittleEndian)
    assert sorted(_pairs(proposed([(CT, implicit), (CT, explicit)]))) == [
        (CT, [implicit]),
        (CT, [explicit]),
    ]


def test_proposed_contexts_offer_a_compressed_instance_as_it_is_only() -> None:
    assert _pairs(proposed([(CT, str(uid.JPEG2000))])) == [(CT, [str(uid.JPEG2000)])]


def test_proposed_contexts_are_never_more_than_an_association_can_hold() -> None:
    kinds = [(f"1.2.3.{number}", str(uid.RLELossless)) for number in range(1, 200)]
    assert len(proposed(kinds)) == MAXIMUM_CONTEXTS
