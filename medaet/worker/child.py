"""The agent's side of a worker child: start it, feed it, time it, replace it."""

import itertools
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import structlog

from medaet.errors import (
    AnalysisError,
    ChildCrashedError,
    MedaetError,
    WithdrawnError,
)
from medaet.plugin import folder
from medaet.worker.answer import late, raised
from medaet.worker.leaks import Leaks
from medaet.worker.peaks import Peak
from medaet.worker.process import ChildProcess, Options, Setting
from medaet.worker.protocol import Message
from medaet.worker.request import Request, Run, lending
from medaet.worker.shared import Lender, arrays
from medaet.worker.sharing import Sharing
from medaet.worker.ticket import Lost, Ticket

log = structlog.get_logger()

CHECK_SECONDS = 0.5
STARTS = 3


class WorkerChild:
    """A child process for one device, started when first needed and replaced when it can no longer be trusted.

    Several threads may ask at the same time: the child takes one request after the other, urgent ones in between
    another's windows. When it ends, whoever it was working for is told why; the others are asked again.

    Args:
        device: In torch's spelling, such as "cpu" or "cuda:0".
        modules: Plugin modules beside the installed ones.
        sharing: What it shares with other children of the device; None where it has the device to itself.
        **options: How else it is started; see `Setting`.
    """

    def __init__(
        self,
        device: str,
        modules: Sequence[str] = (),
        *,
        sharing: Sharing | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.device = device
        self._sharing = sharing or Sharing()
        self._setting = Setting(device, tuple(modules), **options)
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._process: ChildProcess | None = None
        self._tickets: dict[int, Ticket] = {}
        self._begun: list[Ticket] = []  # the last is what the child works on
        self._blamed: Ticket | None = None
        self._leaks = Leaks()
        self._retiring = self._draining = False
        self._platform: dict[str, str] = {}

    @property
    def process_id(self) -> int | None:
        """Process id of the running child, which is also its process group."""
        return self._process.process_id if self._process else None

    @property
    def network_cut(self) -> bool:
        """Whether the running child has no network."""
        return self._process is not None and self._process.network_cut

    def platform_of(self, analysis: str) -> dict[str, str]:
        """Device and versions of what computes an analysis, by name; starts the child where none has run yet.

        Raises:
            ChildCrashedError: it cannot be started.
        """
        del analysis  # one interpreter computes all of them
        with self._changed:
            if not self._platform:
                self._platform = (self._process or self._start()).platform
            return dict(self._platform)

    @property
    def home(self) -> Path | None:
        """The running child's private folder, which is its HOME and holds its temporary files."""
        return self._process.home if self._process is not None else None

    def analyse(self, request: Request, *, on_alive: Callable[[], None] = lambda: None) -> Run:
        """Run one analysis.

        Args:
            request: What to run on what.
            on_alive: Called about once a second; what it raises ends the run.

        Raises:
            ChildCrashedError: the child died.
            ChildTimeoutError: the limit passed, or the child fell silent.
            OutOfMemoryError: memory of device or host did not suffice.
            DeviceError: the device failed.
            FindingsError: the findings cannot be right.
            RegistrationError: the inputs cannot be brought together; trying again cannot help.
            AnalysisError: the analysis raised.
            PermanentError: what it raised will be raised again, such as a PluginError.
            WithdrawnError: the worker stops, and this was not begun.
        """
        asked_at = time.monotonic()
        with (
            lending(request) as lender,
            self._sharing.admitted(self, request, on_alive=on_alive) as expected,
        ):
            for _ in range(STARTS):
                shutil.rmtree(request.where, ignore_errors=True)
                request.where.mkdir(parents=True)
                ticket = self._asked(request, lender, expected)
                try:
                    answer = self._answer(ticket, request, on_alive)
                finally:
                    self._forget(ticket)
                if not isinstance(answer, Lost):
                    return self._run(request, (ticket.began_at or asked_at) - asked_at, answer)
                reason = answer.reason
            raise reason

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._tickets)

    def drain(self) -> None:
        """Take nothing new, and give back what was not begun: those who wait get a WithdrawnError."""
        with self._changed:
            self._draining = True
            waiting = [one for one in self._tickets.values() if one.began_at is None]
        for ticket in waiting:
            self._withdraw(ticket)
            ticket.answers.put(WithdrawnError("the worker stops"))

    def close(self) -> None:
        """Kill the child and everything it started."""
        if (process := self._process) is not None:
            process.end(ChildCrashedError("the worker child was closed"))

    def hold(self, share: float) -> None:
        """Let the running child keep models in no more than a share of the device's memory."""
        if (process := self._process) is not None:
            process.send({"kind": "share", "share": share})

    def _asked(self, request: Request, lender: Lender, expected: Peak) -> Ticket:
        """Hand a request to the child, starting or replacing it first where that is due."""
        self._retire()
        with self._changed:
            if self._draining:
                raise WithdrawnError("the worker stops")
            process = self._process or self._start()
            ticket = Ticket(next(self._numbers))
            self._tickets[ticket.number] = ticket
        process.send(
            request.message(ticket.number, expected.device_bytes or expected.host_bytes),
            [
                lender.descriptor(array)
                for volume in request.inputs.values()
                for array in arrays(volume)
            ],
        )
        return ticket

    def _start(self) -> ChildProcess:
        setting = replace(self._setting, share=self._sharing.joined(self))
        try:
            self._process = ChildProcess(setting, self._on_message, self._on_end)
        except MedaetError:
            self._sharing.left(self)
            raise
        self._leaks, self._retiring = Leaks(), False
        self._begun.clear()
        log.info("child.started", device=self.device, network_cut=self._process.network_cut)
        if not self._process.network_cut:
            log.warning(
                "child.connected", remedy="permit user namespaces, or run the unit as shipped"
            )
        return self._process

    def _retire(self) -> None:
        """Replace a child that has run for long or holds too much, once nobody waits for it."""
        with self._changed:
            while self._retiring and self._tickets:
                self._changed.wait()
            process = self._process if self._retiring else None
            self._retiring = False
        if process is not None:
            process.end(ChildCrashedError("the worker child was replaced"))

    def _answer(
        self, ticket: Ticket, request: Request, on_alive: Callable[[], None]
    ) -> Message | Lost:
        while True:
            try:
                answer = ticket.answers.get(timeout=CHECK_SECONDS)
            except queue.Empty:
                answer = None
            if isinstance(answer, MedaetError):
                raise answer
            if answer is not None:
                on_alive()
                return answer
            try:
                on_alive()
            except BaseException:
                self._withdraw(ticket)
                raise
            if ticket.seconds > request.seconds:
                self._end(ticket, late(request))

    def _run(self, request: Request, waited: float, answer: Message) -> Run:
        with self._changed:
            if self._leaks.noted(answer):
                self._retiring = True
                log.info("child.retired", device=self.device, **self._leaks.facts)
        if answer["kind"] == "error":
            raise raised(request.analysis, answer)
        peak = Peak(int(answer["host_peak_bytes"]), int(answer["device_peak_bytes"]))
        if answer["alone"]:
            self._sharing.peaks.seen(request, peak)
        return Run(
            folder.load(request.where).resolved(dict(request.inputs)),
            load_seconds=float(answer["load_seconds"]),
            analyse_seconds=float(answer["analyse_seconds"]),
            network_seconds=float(answer["network_seconds"]),
            wait_seconds=waited,
            computed={str(key): str(value) for key, value in answer["computed"].items()},
            host_peak_bytes=peak.host_bytes,
            device_peak_bytes=peak.device_bytes,
        )

    def _withdraw(self, ticket: Ticket) -> None:
        """Take a request back: out of the child's inbox, or with the child when it has begun."""
        with self._changed:
            process = self._process
            begun = ticket.began_at is not None
        if begun:
            self._end(ticket, ChildCrashedError("the run was given up"))
        elif process is not None:
            process.send({"kind": "withdraw", "id": ticket.number})

    def _end(self, ticket: Ticket, reason: AnalysisError) -> None:
        with self._changed:
            process = self._process
            self._blamed = ticket if process is not None else None
        if process is not None:
            process.end(reason)

    def _forget(self, ticket: Ticket) -> None:
        with self._changed:
            self._tickets.pop(ticket.number, None)
            self._changed.notify_all()

    def _on_message(self, message: Message) -> None:
        kind = message["kind"]
        with self._changed:
            ticket = self._tickets.get(int(message.get("id", 0)))
            if ticket is None:
                return
            if kind == "began":
                if self._begun:
                    self._begun[-1].stand_still()
                self._begun.append(ticket)
                ticket.go_on()
            elif kind == "computed":
                ticket.stand_still()
                if ticket in self._begun:
                    self._begun.remove(ticket)
                if self._begun:
                    self._begun[-1].go_on()
            elif kind in ("findings", "error"):
                ticket.answers.put(message)

    def _on_end(self, process: ChildProcess, reason: AnalysisError) -> None:
        with self._changed:
            if process is not self._process:
                return
            self._process = None
            self._sharing.left(self)
            guilty = self._blamed or (self._begun[-1] if self._begun else None)
            self._blamed = None
            self._begun.clear()
            for ticket in self._tickets.values():
                ticket.answers.put(reason if ticket is guilty else Lost(reason))
            self._changed.notify_all()
