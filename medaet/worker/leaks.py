"""What a child holds between jobs beside its models: what only grows is a leak, or fragments that nobody can use."""

from medaet.worker.protocol import Message

JOBS_BEFORE_REPLACEMENT = 200
LEAK_BYTES = 1 << 30


class Leaks:
    """Watches one child process over its jobs."""

    def __init__(self) -> None:
        self._jobs = 0
        self._grown_bytes = 0
        self._first: tuple[int, int] | None = None

    def noted(self, answer: Message) -> bool:
        """Note what is held after a job, and return whether the child is to be replaced."""
        held = int(answer.get("host_held_bytes", 0)), int(answer.get("device_held_bytes", 0))
        self._jobs += 1
        self._first = self._first or held
        self._grown_bytes = max(now - then for now, then in zip(held, self._first, strict=True))
        return self._jobs >= JOBS_BEFORE_REPLACEMENT or self._grown_bytes > LEAK_BYTES

    @property
    def facts(self) -> dict[str, int]:
        """How many jobs it did, and by how much it grew."""
        return {"jobs": self._jobs, "grown_bytes": self._grown_bytes}
