"""Messages between a worker agent and its child: JSON with a length before it, over a socket pair.

A message may carry file descriptors; that is how voxels travel, as anonymous memory which both sides map.
"""

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

from medaet.errors import ChildCrashedError, ChildTimeoutError, FindingsError

MAXIMUM_MESSAGE_BYTES = 1024 * 1024
MAXIMUM_DESCRIPTORS = 64
DESCRIPTORS = "descriptors"
_LENGTH = struct.Struct(">I")

Message = dict[str, Any]


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message.

    Args:
        channel: One end of the socket pair; only one thread at a time may send.
        message: With a "kind".
        descriptors: Open files that the other end gets copies of, unix(7) SCM_RIGHTS.

    Raises:
        ChildCrashedError: the other end is gone.
    """
    content = json.dumps(message, allow_nan=False).encode()
    try:
        if descriptors:
            socket.send_fds(channel, [_LENGTH.pack(len(content))], list(descriptors))
            channel.sendall(content)
        else:
            channel.sendall(_LENGTH.pack(len(content)) + content)
    except OSError as error:
        raise ChildCrashedError("the worker child closed its channel") from error


def receive(channel: socket.socket) -> Message:
    """Receive one message; the socket's own time-out counts for each read.

    Returns:
        The message; with the key "descriptors" when it carried any, which are then the caller's to close.

    Raises:
        ChildCrashedError: the other end is gone.
        ChildTimeoutError: nothing came in time.
        FindingsError: what came is not a message.
    """
    head, descriptors = _head(channel)
    (length,) = _LENGTH.unpack(head)
    if length > MAXIMUM_MESSAGE_BYTES:
        raise FindingsError(f"the worker child announced a message of {length} bytes")
    try:
        message = json.loads(_exactly(channel, length))
    except ValueError as error:
        raise FindingsError("the worker child sent a message that is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise FindingsError("the worker child sent a message without a kind")
    if descriptors:
        message[DESCRIPTORS] = descriptors
    return message


def _head(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Receive the length of a message, with which its descriptors come."""
    try:
        part, descriptors, _, _ = socket.recv_fds(channel, _LENGTH.size, MAXIMUM_DESCRIPTORS)
    except TimeoutError as error:
        raise ChildTimeoutError("the worker child stopped answering") from error
    except OSError as error:
        raise ChildCrashedError("the channel to the worker child broke") from error
    if not part:
        raise ChildCrashedError("the worker child closed its channel")
    return part + _exactly(channel, _LENGTH.size - len(part)), descriptors


def _exactly(channel: socket.socket, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        try:
            part = channel.recv(length - len(content))
        except TimeoutError as error:
            raise ChildTimeoutError("the worker child stopped answering") from error
        except OSError as error:
            raise ChildCrashedError("the channel to the worker child broke") from error
        if not part:
            raise ChildCrashedError("the worker child closed its channel")
        content += part
    return bytes(content)
