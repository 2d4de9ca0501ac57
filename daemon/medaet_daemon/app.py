"""The composition root: the only file that builds databases, stores, queues and stages from the configuration."""

import contextlib
import fcntl
import os
import signal
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import structlog

from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.config.model import Config
from medaet.errors import ConfigError, SchemaError
from medaet.parent import die_with_parent
from medaet.plugin.certificate import CertificateStore
from medaet.plugin.registry import discover
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.queue.trainings import TrainingQueue
from medaet.routes import check_routes
from medaet.store import migrate
from medaet.store.commitments import CommitmentStore
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.worker.terms import TermsOf
from medaet_daemon import receive, stage
from medaet_daemon.analyse import Analyse
from medaet_daemon.assemble import Assemble
from medaet_daemon.confirm import Confirm
from medaet_daemon.deliver import Deliver
from medaet_daemon.devices import children, devices
from medaet_daemon.dispatch import Dispatch
from medaet_daemon.encode import Encode
from medaet_daemon.inputs import Inputs
from medaet_daemon.lane import lanes
from medaet_daemon.plans import PeerPlans
from medaet_daemon.prune import Prune
from medaet_daemon.rescue import Rescue
from medaet_daemon.running import run_reloading, run_stages
from medaet_daemon.source import Source
from medaet_daemon.supervise import Role, Supervisor
from medaet_daemon.train import Train

log = structlog.get_logger()

FIXED = ("database", "spool", "hooks", "worker")
"""Sections that other processes share, and that SIGHUP leaves as they are."""


def run(
    config: Config, role: str, device: str | None, pulse_fd: int | None, path: Path | None
) -> int:
    """Be the supervisor, or one of its processes.

    Args:
        config: The whole configuration.
        role: "all", "receive", "pipeline", "worker", "training" or "web".
        device: The one device of a worker; None for all that the configuration names.
        pulse_fd: The supervisor's pipe; None for a process that has no supervisor.
        path: Where the configuration came from, handed on to the processes.

    Returns:
        The exit status.
    """
    if pulse_fd is None and (role in ("all", "training") or (role == "worker" and device is None)):
        return _supervise(config, role, path)
    if pulse_fd is not None:
        die_with_parent(number=signal.SIGTERM if role == "receive" else signal.SIGKILL)
    pulse = Pulse(pulse_fd)
    name = f"{role}-{device}" if device else role
    with _only_one(config, name):
        if role == "receive":
            receive.main_loop(config, pulse.start, lambda: load(path))
        elif role == "pipeline":
            run_reloading(config, _pipeline, lambda old: _reread(old, path), pulse.start)
        elif role == "training":
            run_stages([_trainer(config)], pulse.start)
        elif role == "web":
            _serve(config, pulse)
        else:
            run_stages(_worker(config, device or "cpu"), pulse.start)
    return 0


def _serve(config: Config, pulse: "Pulse") -> None:
    """Be the dashboard; no other process loads what that needs."""
    from medaet_daemon.dashboard.serve import serve

    if not config.web.enabled:
        raise ConfigError("web.enabled: the dashboard is off; set it to true")
    serve(config, pulse.start)


class Pulse:
    """Tells the supervisor that this process is ready, and then that it is alive."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def start(self) -> None:
        """Beat once now, and then every second from a thread."""
        if self._descriptor is not None:
            threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    def _beat(self) -> None:
        waiting = threading.Event()
        while True:
            try:
                os.write(int(self._descriptor or 0), b".")
            except OSError:  # the supervisor is gone, and this process is about to follow it
                return
            waiting.wait(1)


def _supervise(config: Config, role: str, path: Path | None) -> int:
    """Check what can be checked before anything starts, then run every role."""
    registry = discover(models=config.models_path)
    for refused in registry.refused:
        log.error("plugin.refused", plugin=refused.name, reason=refused.reason)
    check_routes(config, registry)
    _prepare(config)
    named = [] if role == "training" else devices(config)
    common = ("--config", str(path)) if path else ()
    roles = [
        Role(f"worker {device}", ("--role", "worker", "--device", device, *common))
        for device in named
    ]
    if role == "all":
        roles = [
            Role("receive", ("--role", "receive", *common), reloads=True),
            Role("pipeline", ("--role", "pipeline", *common), reloads=True),
            *roles,
        ]
    if role == "training" or (role == "all" and _training_devices(config)):
        roles.append(Role("training", ("--role", "training", *common)))
    if role == "all" and config.web.enabled:
        roles.append(Role("web", ("--role", "web", *common), vital=False))
    return Supervisor(roles).run()


def _prepare(config: Config) -> None:
    """Recover the spool, and bring an empty database to the newest schema; an older one is left to a person."""
    config.spool.path.mkdir(parents=True, exist_ok=True, mode=0o750)
    Spool(config.spool.path).recover()
    current, head = migrate.current(config.database_url), migrate.head()
    if current is None:
        migrate.upgrade(config.database_url)
        log.info("database.upgraded", revision=head)
    elif current != head:
        raise SchemaError(
            f"the database is at revision {current}, this version needs {head}; "
            "stop the daemon, run `medaet db backup FILE` and `medaet db upgrade`"
        )


def _reread(old: Config, path: Path | None) -> Config | None:
    """Read the configuration again, but for what only a restart can change; None when it cannot be used."""
    try:
        new = load(path)
        check_routes(new, discover(models=new.models_path))
    except ConfigError as error:
        log.error("configuration.refused", reason=str(error))
        return None
    log.info("pipeline.reloaded", routes=len(new.routes), peers=len(new.peers))
    return new.model_copy(update={name: getattr(old, name) for name in FIXED})


@contextlib.contextmanager
def _pipeline(config: Config) -> Iterator[list[stage.Stage]]:
    """Build the stages that need neither the listener nor a device."""
    database, spool, jobs = _tables(config)
    with contextlib.closing(database):
        yield _pipeline_on(database, spool, jobs, config)


def _pipeline_on(
    database: Database, spool: Spool, jobs: JobQueue, config: Config
) -> list[stage.Stage]:
    clock = SystemClock()
    deliveries = DeliveryQueue(database, clock)
    registry = discover(models=config.models_path)
    studies, instances = StudyStore(database, clock), InstanceStore(database, clock)
    retention = config.retention
    keep = timedelta(days=retention.keep_days)
    committed = retention.keep_committed_days
    keep_committed = None if committed is None else timedelta(days=committed)
    return [
        Assemble(studies, instances, spool, config.series, clock, Source(config, clock)),
        Dispatch(database, spool, jobs, registry, config, clock),
        Encode(Inputs(instances, spool, registry), spool, jobs, registry, PeerPlans(config)),
        Deliver(spool, deliveries, config, registry.hooks(config.hooks.plugins)),
        Rescue(jobs, deliveries),
        Confirm(CommitmentStore(database, spool, clock), config),
        Prune(database, spool, keep, clock, keep_committed=keep_committed),
    ]


def _worker(config: Config, device: str) -> list[stage.Stage]:
    """Build the lanes of a device's children; these share its memory, lanes share a child, and nothing else."""
    clock, registry = SystemClock(), discover(models=config.models_path)
    terms_of = TermsOf(config.compute, registry, CertificateStore(config.certificates_path))
    stages: list[stage.Stage] = []
    for number, child in enumerate(children(config, device), start=1):
        for lane in lanes(child, terms_of, number):
            database, spool, jobs = _tables(config)
            inputs = Inputs(InstanceStore(database, clock), spool, registry)
            stages.append(Analyse(inputs, spool, jobs, config.worker, lane, clock))
    return stages


def _trainer(config: Config) -> stage.Stage:
    database, _, _ = _tables(config)
    devices = _training_devices(config)
    if not devices:
        raise ConfigError(
            "worker.training_devices: no device is kept for training; name one, or one of inference as "
            "training.borrowed_devices"
        )
    return Train(
        TrainingQueue(database, SystemClock(), maximum_attempts=config.worker.maximum_attempts),
        devices,
        timedelta(seconds=config.worker.lease_seconds),
        borrowed=not config.worker.training_devices,
        processors=config.training.processors,
    )


def _training_devices(config: Config) -> tuple[str, ...]:
    """Name the devices to train on: those kept for it, else those it may borrow."""
    return config.worker.training_devices or config.training.borrowed_devices


def _tables(config: Config) -> tuple[Database, Spool, JobQueue]:
    durable = config.listener.is_durable
    database = Database(config.database_url, durable=durable)
    spool = Spool(
        config.spool.path, minimum_free_bytes=config.spool.minimum_free_bytes, durable=durable
    )
    jobs = JobQueue(database, SystemClock(), maximum_attempts=config.worker.maximum_attempts)
    return database, spool, jobs


@contextlib.contextmanager
def _only_one(config: Config, name: str) -> Iterator[None]:
    """Hold a lock file for this role, so that two daemons cannot share one spool unawares.

    Raises:
        ConfigError: another process holds it.
    """
    config.spool.path.mkdir(parents=True, exist_ok=True, mode=0o750)
    safe = "".join(letter if letter.isalnum() else "-" for letter in name)
    with (config.spool.path / f".{safe}.lock").open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"spool.path: another {name} process works on {config.spool.path} "
                f"on {socket.gethostname()}; stop it, or give this one a spool of its own"
            ) from error
        yield
