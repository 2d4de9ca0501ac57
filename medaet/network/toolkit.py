"""pynetdicom as MedAET uses it: its process-wide switches, and application entities with our identity."""

from ssl import SSLContext
from typing import Any

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation

from medaet.dicom.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from medaet.network.checkpoint import Checkpoint
from medaet.network.negotiation import MAXIMUM_PDU_BYTES
from medaet.network.sockets import NETWORK_SECONDS, PeerSocket

CONNECT_SECONDS = 10.0
ACSE_SECONDS = 30.0


class Entity(AE):
    """An application entity whose outgoing associations use our sockets, and lose no response."""

    def associate(self, *arguments: Any, **named: Any) -> Association:
        """Open an association (see pynetdicom)."""
        association = super().associate(*arguments, **named)
        association._reactor_checkpoint = Checkpoint()  # noqa: SLF001 -- there is no public way
        return association

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[SSLContext, str] | None,
    ) -> PeerSocket:
        peer = PeerSocket(assoc, address=address)
        peer.tls_args = tls_args
        return peer


def application_entity(
    ae_title: str, *, dimse_seconds: float, acse_seconds: float = ACSE_SECONDS
) -> Entity:
    """Make an application entity that signs with our implementation and never hangs for ever.

    Args:
        ae_title: Its AE title.
        dimse_seconds: How long to wait for a DIMSE message.
        acse_seconds: How long to wait for each step of association control.
    """
    _config.LOG_HANDLER_LEVEL = "none"  # the default handlers format every PDU, and log data sets
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True  # files go out as they are, never decoded
    entity = Entity(ae_title=ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.maximum_pdu_size = MAXIMUM_PDU_BYTES
    entity.connection_timeout = CONNECT_SECONDS
    entity.acse_timeout = acse_seconds
    entity.network_timeout = max(NETWORK_SECONDS, dimse_seconds)
    entity.dimse_timeout = dimse_seconds
    return entity
