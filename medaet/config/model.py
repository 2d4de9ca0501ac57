"""The configuration: every key of medaet.toml, its unit, its range and its default."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    IPvAnyNetwork,
    model_validator,
)

from medaet.config.route import Route
from medaet.config.section import AETitle, Fingerprint, Name, Port, Section
from medaet.config.web import Web
from medaet.precision import EngineName, Precision


class Alias(Section):
    """A further called AE title the listener answers to."""

    ae_title: AETitle


class ListenerTls(Section):
    """TLS for associations (PS3.15 Annex B): without a port of its own it replaces plain ones.

    The key must not be encrypted: its file is the secret, as a systemd credential or readable by the user only.
    """

    cert_file: Path
    key_file: Path
    ca_file: Path | None = None
    crl_file: Path | None = None
    require_client_cert: bool = True
    profile: Literal["B.12", "B.13"] = "B.12"
    port: Port | None = None

    @model_validator(mode="after")
    def _somebody_vouches(self) -> "ListenerTls":
        if self.require_client_cert and self.ca_file is None:
            raise ValueError(
                "ca_file: without it no client certificate can be checked; "
                "name the authorities' file, or set require_client_cert = false"
            )
        return self


class Listener(Section):
    """The storage SCP."""

    ae_title: AETitle = "MEDAET"
    aliases: tuple[Alias, ...] = ()
    host: str = "0.0.0.0"  # noqa: S104 -- scanners are on other hosts
    port: Annotated[int, Field(ge=0, le=65535)] = 11112
    engine: Literal["own", "pynetdicom"] = "own"
    processes: Annotated[int, Field(ge=1, le=32)] = 2
    accept_unknown_peers: bool = False
    durability: Literal["power-loss", "crash"] = "power-loss"
    conflict: Literal["use-newest", "use-first", "refuse"] = "use-newest"
    storage_commitment: Literal["off", "new-association", "same-association"] = "off"
    maximum_associations: Annotated[int, Field(ge=1, le=1000)] = 100
    maximum_associations_per_address: Annotated[int, Field(ge=1, le=1000)] = 32
    idle_timeout_seconds: Annotated[float, Field(ge=1)] = 60.0
    maximum_instance_bytes: Annotated[int, Field(ge=1_000_000)] = 4_294_967_296
    tls: ListenerTls | None = None

    @property
    def is_durable(self) -> bool:
        """Whether what was answered with Success survives a power cut."""
        return self.durability == "power-loss"

    @model_validator(mode="after")
    def _engine_speaks_tls(self) -> "Listener":
        if self.tls is not None and self.engine != "own":
            raise ValueError('engine: only "own" speaks TLS; remove [listener.tls], or engine')
        return self

    @model_validator(mode="after")
    def _answers_for_what_it_keeps(self) -> "Listener":
        if self.storage_commitment == "off":
            return self
        if not self.is_durable:
            raise ValueError(
                'storage_commitment: only with durability = "power-loss" can anything be answered for'
            )
        if self.engine != "own":
            raise ValueError('storage_commitment: only engine = "own" offers it')
        return self

    @property
    def called_ae_titles(self) -> tuple[str, ...]:
        """Every AE title an association may call."""
        return (self.ae_title, *(alias.ae_title for alias in self.aliases))


class DatabaseSection(Section):
    """Where the tables are."""

    url: str = "sqlite:///medaet.db"


class Spool(Section):
    """Where instances and results are kept."""

    path: Path = Path("medaet-data/spool")
    minimum_free_bytes: Annotated[int, Field(ge=0)] = 5_000_000_000


class SeriesSection(Section):
    """When a series counts as complete."""

    grace_period_seconds: Annotated[float, Field(gt=0)] = 3.0
    quiet_period_seconds: Annotated[float, Field(gt=0)] = 20.0
    maximum_wait_seconds: Annotated[float, Field(gt=0)] = 600.0


class WorkerSection(Section):
    """Which devices compute, and within which limits."""

    devices: Literal["auto"] | str | tuple[str, ...] = "auto"
    training_devices: tuple[str, ...] = ()
    job_timeout_seconds: Annotated[float, Field(gt=0)] = 900.0
    maximum_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    lease_seconds: Annotated[float, Field(ge=1)] = 30.0
    children_per_device: Annotated[int, Field(ge=1, le=16)] = 1
    memory_fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    cache_path: Path | None = None
    certificates_path: Path | None = None


class ComputeSection(Section):
    """How the networks of one analysis are computed."""

    engine: EngineName | None = None
    precision: Precision = "fp32"
    spare_precision: Precision | None = None


class TrainingSection(Section):
    """Where queued training runs live, and what they may use beside `worker.training_devices`."""

    path: Path = Path("medaet-data/training")
    borrowed_devices: tuple[str, ...] = ()
    processors: tuple[Annotated[int, Field(ge=0)], ...] = ()


class ModelsSection(Section):
    """Where imported models are kept; None for the folder `models` beside the spool."""

    path: Path | None = None


class HooksSection(Section):
    """Plugins whose hooks are in force, in the order in which they are called."""

    plugins: tuple[Name, ...] = ()


class Retention(Section):
    """How long studies stay; nothing undelivered is ever removed.

    What was answered for by storage commitment stays until a person forgets it, unless that has a limit, too.
    """

    keep_days: Annotated[float, Field(gt=0)] = 7.0
    keep_committed_days: Annotated[float, Field(gt=0)] | None = None


class Peer(Section):
    """Another application entity."""

    name: Name
    ae_title: AETitle
    host: str
    port: Port = 104
    profile: Literal["default", "ohif", "slicer", "legacy", "strict-air"] = "default"
    addresses: tuple[IPvAnyNetwork, ...] = ()
    certificate_sha256: Fingerprint | None = None
    count_by_query: bool = False
    extras: tuple[Literal["summary", "key-objects", "maps", "pdf", "probabilities"], ...] = ()
    maximum_frames: Annotated[int, Field(ge=1)] | None = None


class Config(Section):
    """All of medaet.toml."""

    listener: Listener = Listener()
    database: DatabaseSection = DatabaseSection()
    spool: Spool = Spool()
    series: SeriesSection = SeriesSection()
    worker: WorkerSection = WorkerSection()
    training: TrainingSection = TrainingSection()
    models: ModelsSection = ModelsSection()
    hooks: HooksSection = HooksSection()
    web: Web = Web()
    retention: Retention = Retention()
    peers: tuple[Peer, ...] = ()
    routes: tuple[Route, ...] = ()
    compute: dict[Name, ComputeSection] = Field(default_factory=dict)
    plugins: dict[Name, dict[str, object]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_agree(self) -> "Config":
        names = [peer.name for peer in self.peers]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"peers: the name {doubled[0]!r} is used twice; rename one of them")
        wanted, kept = self.worker.devices, self.worker.training_devices
        listed = (wanted,) if isinstance(wanted, str) else wanted
        if wanted != "auto" and kept and not set(listed) - set(kept):
            raise ValueError(
                "worker.training_devices: every device is kept for training and none is left for inference; "
                "name one there as training.borrowed_devices instead"
            )
        known = {*names, "sender"}
        for number, route in enumerate(self.routes):
            for name in route.send_to:
                if name not in known:
                    raise ValueError(
                        f"routes.{number}.send_to: there is no peer named {name!r}; "
                        f"known are {', '.join(sorted(known))}"
                    )
        return self

    @property
    def database_url(self) -> str:
        """The database URL, a relative SQLite path taken from the spool's parent folder."""
        prefix = "sqlite:///"
        url = self.database.url
        if not url.startswith(prefix) or url == f"{prefix}:memory:":
            return url
        path = Path(url.removeprefix(prefix))
        return prefix + str(
            path if path.is_absolute() else self.spool.path.absolute().parent / path
        )

    @property
    def cache_path(self) -> Path:
        """Where what is worked out about networks is kept, beside the spool by default."""
        return self.worker.cache_path or self.spool.path.absolute().parent / "cache"

    @property
    def certificates_path(self) -> Path:
        """Where certificates of reduced precisions are kept, beside the spool by default."""
        beside = self.spool.path.absolute().parent / "certificates"
        return self.worker.certificates_path or beside

    @property
    def hooks_path(self) -> Path:
        """The folder that holds one for each plugin with hooks."""
        return self.spool.path.absolute().parent / "hooks"

    @property
    def models_path(self) -> Path:
        """The folder of imported models."""
        return self.models.path or self.spool.path.absolute().parent / "models"

    @property
    def users_path(self) -> Path:
        """The file of those who may enter the dashboard, beside the spool by default."""
        return self.web.users_file or self.spool.path.absolute().parent / "web-users"

    def peer(self, name: str) -> Peer | None:
        """Find a peer by its name."""
        return next((peer for peer in self.peers if peer.name == name), None)

    def peer_by_ae_title(self, ae_title: str) -> Peer | None:
        """Find a peer by its AE title."""
        return next((peer for peer in self.peers if peer.ae_title == ae_title), None)
