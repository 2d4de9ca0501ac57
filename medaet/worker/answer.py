"""What an agent makes of a child that answers with an error, or not in time."""

from medaet import errors
from medaet.errors import AnalysisError, ChildTimeoutError, MedaetError
from medaet.worker.protocol import Message
from medaet.worker.request import Request


def late(request: Request) -> ChildTimeoutError:
    """Say that a run exceeded its time limit."""
    return ChildTimeoutError(
        f"{request.analysis} exceeded its time limit of {request.seconds:g} s; raise "
        "worker.job_timeout_seconds if it needs more"
    )


def raised(analysis: str, message: Message) -> MedaetError:
    """Turn an error of the child into one of ours; those that are ours already keep their class."""
    name, reason = str(message.get("error")), str(message.get("reason", ""))
    frames = [str(frame) for frame in message.get("frames", ())][-1:]
    text = f"{analysis} raised {name}" + (f": {reason}" if reason else "")
    text += f" at {frames[0]}" if frames else ""
    kind = getattr(errors, name, None) if message.get("own") else None
    own = isinstance(kind, type) and issubclass(kind, MedaetError)
    return kind(text) if own and kind is not None else AnalysisError(text)
