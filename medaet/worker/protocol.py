"""Messages between a worker agent and its child: JSON with a length before it, over a socket pair."""

import json
import socket
import struct
from typing import Any

from medaet.errors import ChildCrashedError, ChildTimeoutError, FindingsError

MAXIMUM_MESSAGE_BYTES = 1024 * 1024
_LENGTH = struct.Struct(">I")

Message = dict[str, Any]


def send(channel: socket.socket, message: Message) -> None:
    """Send one message.

    Raises:
        ChildCrashedError: the other end is gone.
    """
    content = json.dumps(message, allow_nan=False).encode()
    try:
        channel.sendall(_LENGTH.pack(len(content)) + content)
    except OSError as error:
        raise ChildCrashedError("the worker child closed its channel") from error


def receive(channel: socket.socket) -> Message:
    """Receive one message; the socket's own time-out counts for each read.

    Raises:
        ChildCrashedError: the other end is gone.
        ChildTimeoutError: nothing came in time.
        FindingsError: what came is not a message.
    """
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    if length > MAXIMUM_MESSAGE_BYTES:
        raise FindingsError(f"the worker child announced a message of {length} bytes")
    try:
        message = json.loads(_exactly(channel, length))
    except ValueError as error:
        raise FindingsError("the worker child sent a message that is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise FindingsError("the worker child sent a message without a kind")
    return message


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
