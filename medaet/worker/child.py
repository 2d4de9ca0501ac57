"""The agent's side of a worker child: start it, feed it, time it, end it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from medaet.dicom.volume import Volume
from medaet.errors import (
    AnalysisError,
    ChildCrashedError,
    ChildTimeoutError,
    FindingsError,
    MedaetError,
    RegistrationError,
)
from medaet.plugin import folder
from medaet.plugin.findings import Findings
from medaet.worker.protocol import Message, receive, send

log = structlog.get_logger()

START_SECONDS = 120.0
SILENCE_SECONDS = 30.0
JOBS_BEFORE_REPLACEMENT = 200
INHERITED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "CUDA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "OPENBLAS_CORETYPE",
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of an analysis gave.

    Attributes:
        findings: Read back from the child's files and checked against the inputs.
        load_seconds: Spent on loading the model; near zero when it was warm.
        analyse_seconds: Spent in the analysis.
    """

    findings: Findings
    load_seconds: float
    analyse_seconds: float


class WorkerChild:
    """A child process for one device, started when first needed and replaced after any failure.

    Args:
        device: In torch's spelling, such as "cpu" or "cuda:0".
        modules: Plugin modules beside the installed ones.
        silence_seconds: How long the child may send no sign of life.
    """

    def __init__(
        self, device: str, modules: Sequence[str] = (), *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self.device = device
        self._modules = tuple(modules)
        self._silence_seconds = silence_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._home: Path | None = None
        self._jobs = 0
        self.network_cut = False

    @property
    def process_id(self) -> int | None:
        """Process id of the running child, which is also its process group."""
        return self._process.pid if self._process else None

    def analyse(
        self,
        analysis: str,
        settings: Mapping[str, object],
        inputs: Mapping[str, Volume],
        where: Path,
        *,
        seconds: float,
        on_alive: Callable[[], None] = lambda: None,
    ) -> Run:
        """Run one analysis.

        Args:
            analysis: Name of an installed analysis.
            settings: Its own settings.
            inputs: Volumes by role.
            where: Folder for the findings; made anew.
            seconds: Time limit, model loading included.
            on_alive: Called at every sign of life, about once a second; what it raises ends the run.

        Raises:
            ChildCrashedError: the child died.
            ChildTimeoutError: the limit passed, or the child fell silent.
            FindingsError: the findings cannot be right.
            RegistrationError: the inputs cannot be brought together; trying again cannot help.
            AnalysisError: the analysis raised.
        """
        try:
            self._start()
            return self._exchange(analysis, settings, inputs, where, seconds, on_alive)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill the child and everything it started."""
        process, self._process = self._process, None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def _start(self) -> None:
        if self._process is not None and self._jobs >= JOBS_BEFORE_REPLACEMENT:
            self.close()
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        self._channel = ours
        self._home = Path(tempfile.mkdtemp(prefix="medaet-child-"))
        command = [sys.executable, "-P", "-m", "medaet.worker.main", "--fd", str(theirs.fileno())]
        command += ["--agent", str(os.getpid()), "--device", self.device]
        for module in self._modules:
            command += ["--module", module]
        with theirs, (self._home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=output,  # what a plugin prints may be anything: it never reaches the journal
                stderr=output,
                env=self._environment(),
                start_new_session=True,
            )
        self._jobs = 0
        ours.settimeout(START_SECONDS)
        hello = self._received()
        ours.settimeout(self._silence_seconds)
        self.network_cut = bool(hello.get("network_cut"))
        log.info("child.started", device=self.device, network_cut=self.network_cut)
        if not self.network_cut:
            log.warning(
                "child.connected", remedy="permit user namespaces, or run the unit as shipped"
            )

    def _environment(self) -> dict[str, str]:
        """Hand on what a program needs, and nothing that says where the database or a peer is."""
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        home = str(self._home)
        path = [one for one in sys.path if one and Path(one).is_dir()] if self._modules else []
        extra = {"PYTHONPATH": os.pathsep.join(path)} if path else {}
        return {**kept, **extra, "HOME": home, "TMPDIR": home, "PYTHONSAFEPATH": "1"}

    def _exchange(
        self,
        analysis: str,
        settings: Mapping[str, object],
        inputs: Mapping[str, Volume],
        where: Path,
        seconds: float,
        on_alive: Callable[[], None],
    ) -> Run:
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir(parents=True)
        scratch = where.with_name(f"{where.name}.inputs")
        try:
            folders = {role: scratch / str(number) for number, role in enumerate(inputs)}
            for role, volume in inputs.items():
                folder.save_volume(volume, folders[role])
            assert self._channel is not None
            request = {role: str(path.absolute()) for role, path in folders.items()}
            send(
                self._channel,
                {
                    "kind": "analyse",
                    "analysis": analysis,
                    "settings": dict(settings),
                    "inputs": request,
                    "findings": str(where.absolute()),
                },
            )
            answer = self._answer(analysis, seconds, on_alive)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._jobs += 1
        findings = folder.load(where).resolved(dict(inputs))
        return Run(findings, float(answer["load_seconds"]), float(answer["analyse_seconds"]))

    def _answer(self, analysis: str, seconds: float, on_alive: Callable[[], None]) -> Message:
        deadline = time.monotonic() + seconds
        assert self._channel is not None
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ChildTimeoutError(
                    f"{analysis} exceeded its time limit of {seconds:g} s; raise "
                    "worker.job_timeout_seconds if it needs more"
                )
            self._channel.settimeout(max(0.05, min(left, self._silence_seconds)))
            try:
                message = self._received()
            except ChildTimeoutError:
                if time.monotonic() >= deadline:
                    continue
                raise
            on_alive()
            if message["kind"] == "findings":
                return message
            if message["kind"] == "error":
                raise _raised(analysis, message)

    def _received(self) -> Message:
        assert self._channel is not None
        try:
            return receive(self._channel)
        except ChildCrashedError as error:
            raise ChildCrashedError(f"the worker child ended: {self._exit()}") from error

    def _exit(self) -> str:
        """Say how the child ended."""
        assert self._process is not None
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its channel"
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _raised(analysis: str, message: Message) -> MedaetError:
    name, reason = str(message.get("error")), str(message.get("reason", ""))
    if name == RegistrationError.__name__:
        return RegistrationError(reason)  # the same images would fail the same way again
    frames = [str(frame) for frame in message.get("frames", ())][-1:]
    text = f"{analysis} raised {name}" + (f": {reason}" if reason else "")
    text += f" at {frames[0]}" if frames else ""
    return FindingsError(text) if name == "FindingsError" else AnalysisError(text)
