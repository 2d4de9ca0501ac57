"""A running child as its agent holds it: the process, the channel to it, and a thread that hands its messages on."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import structlog

from medaet.errors import (
    AnalysisError,
    ChildCrashedError,
    ChildTimeoutError,
    DeviceError,
    FindingsError,
    OutOfMemoryError,
)
from medaet.plugin.environments import interpreter
from medaet.worker.limits import DEVICE_FAILED, OUT_OF_MEMORY, OVER_LIMIT
from medaet.worker.part import link_part
from medaet.worker.protocol import Message, receive, send
from medaet.worker.signs import await_sign

log = structlog.get_logger()

START_SECONDS = 120.0
INHERITED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "OPENBLAS_CORETYPE",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a child is started.

    Attributes:
        device: In torch's spelling, such as "cpu" or "cuda:0".
        modules: Plugin modules beside the installed ones.
        models: The folder of imported models; None for none.
        cache: Folder for what is worked out about networks once; None for none.
        limit_bytes: Most host memory it may take; 0 for no limit.
        audit: A file that gets a line for each connection, file or program that plugin code touches, and the folder
            that it may write to beside its own; None for no such record.
        silence_seconds: How long it may send no sign of life; a run that keeps the processor busy is one.
        share: Of the device's memory, for it among the children of the device.
        environment: The folder of the environment whose interpreter it is; None for this one.
    """

    device: str
    modules: tuple[str, ...] = ()
    models: Path | None = None
    cache: Path | None = None
    limit_bytes: int = 0
    audit: tuple[Path, Path] | None = None
    silence_seconds: float = 30.0
    share: float = 1.0
    environment: Path | None = None


class Options(TypedDict, total=False):
    """What of a `Setting` has a default."""

    models: Path | None
    cache: Path | None
    limit_bytes: int
    audit: tuple[Path, Path] | None
    silence_seconds: float
    environment: Path | None


class ChildProcess:
    """One child process, from its start to its end.

    Attributes:
        home: Its private folder, which is its HOME and holds its temporary files.

    Args:
        setting: How to start it.
        on_message: Called with each message, from a thread of this object.
        on_end: Called once when it is over, with what ended it.

    Raises:
        ChildCrashedError: it ended before it said hello.
        ChildTimeoutError: it did not say hello in time.
    """

    def __init__(
        self,
        setting: Setting,
        on_message: Callable[[Message], None],
        on_end: Callable[["ChildProcess", AnalysisError], None],
    ) -> None:
        self._setting = setting
        self._on_message = on_message
        self._on_end = on_end
        self._sending = threading.Lock()
        self._reason: AnalysisError | None = None
        self.home = Path(tempfile.mkdtemp(prefix="medaet-child-"))
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = self._started(theirs)
        try:
            self._channel.settimeout(START_SECONDS)
            hello = self._received()
        except AnalysisError:
            self._clear()
            raise
        self.network_cut = bool(hello.get("network_cut"))
        self.platform = {str(key): str(one) for key, one in hello.get("platform", {}).items()}
        self._channel.settimeout(setting.silence_seconds)
        self._reader = threading.Thread(target=self._read, name="child", daemon=True)
        self._reader.start()

    @property
    def process_id(self) -> int:
        """Process id of the child, which is also its process group."""
        return self._process.pid

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message; when the child is gone, `on_end` tells of it."""
        with self._sending, contextlib.suppress(ChildCrashedError):
            send(self._channel, message, descriptors)

    def end(self, reason: AnalysisError) -> None:
        """Kill the child and everything it started; `on_end` is called with the reason."""
        self._reason = self._reason or reason
        self._kill()
        with contextlib.suppress(
            OSError
        ):  # a process that left the group may still hold the other end
            self._channel.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._reader:
            self._reader.join()

    def _started(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        setting = self._setting
        python = interpreter(setting.environment) if setting.environment else sys.executable
        command = [str(python), "-P", "-m", "medaet.worker.main", "--fd", str(theirs.fileno())]
        command += ["--agent", str(os.getpid()), "--device", setting.device]
        command += ["--limit-bytes", str(setting.limit_bytes), "--share", str(setting.share)]
        command += ["--models", str(setting.models.absolute())] if setting.models else []
        command += ["--cache", str(setting.cache.absolute())] if setting.cache else []
        if setting.audit is not None:
            log_file, may_write = (str(path.resolve()) for path in setting.audit)
            command += ["--audit", log_file, "--may-write", may_write]
        for module in setting.modules:
            command += ["--module", module]
        with (self.home / "output").open("wb") as output:
            return subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=output,  # what a plugin prints may be anything: it never reaches the journal
                stderr=output,
                env=self._environment(),
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        """Hand on what a program needs, and nothing that says where the database or a peer is."""
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        home = str(self.home)
        path = (
            [one for one in sys.path if one and Path(one).is_dir()] if self._setting.modules else []
        )
        if self._setting.environment is not None:
            path = [str(link_part(self.home / "part"))]
        extra = {"PYTHONPATH": os.pathsep.join(path)} if path else {}
        # Threads that spin while they wait take the cores from the daemon's other processes, and from each other.
        extra["OMP_WAIT_POLICY"] = "PASSIVE"
        return {**kept, **extra, "HOME": home, "TMPDIR": home, "PYTHONSAFEPATH": "1"}

    def _read(self) -> None:
        seconds, begun = self._setting.silence_seconds, 0
        try:
            while True:
                await_sign(self._channel, self.process_id, seconds, working=begun > 0)
                message = self._received()
                begun += {"began": 1, "computed": -1}.get(message["kind"], 0)
                self._on_message(message)
        except (ChildCrashedError, ChildTimeoutError, FindingsError) as error:
            ended = self._reason or self._explained(error)
        except AnalysisError as error:
            ended = self._reason or error
        self._clear()
        self._on_end(self, ended)

    def _received(self) -> Message:
        return receive(self._channel)

    def _explained(self, error: AnalysisError) -> AnalysisError:
        """Say how the child ended, where it did."""
        if not isinstance(error, ChildCrashedError):
            return error
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return ChildCrashedError("the worker child ended: it closed its channel")
        if status in (OUT_OF_MEMORY, OVER_LIMIT):
            limit = self._setting.limit_bytes
            told = f"more than its {limit / 1e9:.1f} GB" if limit else "more than there is"
            return OutOfMemoryError(f"the worker child needed {told} of host memory")
        if status == DEVICE_FAILED:
            return DeviceError(f"the device {self._setting.device} failed under the worker child")
        told = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return ChildCrashedError(f"the worker child ended: {told}")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _clear(self) -> None:
        self._kill()
        with self._sending:
            self._channel.close()
        shutil.rmtree(self.home, ignore_errors=True)
