"""The configuration: every key of medaet.toml, its unit, its range and its default."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

AETitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$"),
]
"""An AE title: 1 to 16 printable ASCII characters without a backslash (PS3.5 §6.2, VR AE)."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A name of ours: lower case letters, digits, hyphen and underscore."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A table of the file: frozen, and a key that is not listed here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Alias(Section):
    """A further called AE title the listener answers to."""

    ae_title: AETitle


class Listener(Section):
    """The storage SCP."""

    ae_title: AETitle = "MEDAET"
    aliases: tuple[Alias, ...] = ()
    host: str = "0.0.0.0"  # noqa: S104 -- scanners are on other hosts
    port: Annotated[int, Field(ge=0, le=65535)] = 11112
    processes: Annotated[int, Field(ge=1, le=32)] = 2
    accept_unknown_peers: bool = False
    durability: Literal["power-loss", "crash"] = "power-loss"
    maximum_associations: Annotated[int, Field(ge=1, le=1000)] = 100

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

    quiet_period_seconds: Annotated[float, Field(gt=0)] = 20.0
    maximum_wait_seconds: Annotated[float, Field(gt=0)] = 600.0


class WorkerSection(Section):
    """Which devices compute, and within which limits."""

    devices: Literal["auto"] | str | tuple[str, ...] = "auto"
    training_devices: tuple[str, ...] = ()
    job_timeout_seconds: Annotated[float, Field(gt=0)] = 900.0
    maximum_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    lease_seconds: Annotated[float, Field(ge=1)] = 30.0


class Web(Section):
    """The dashboard."""

    host: str = "127.0.0.1"
    port: Port = 8042


class Retention(Section):
    """How long studies stay; nothing undelivered is ever removed."""

    keep_days: Annotated[float, Field(gt=0)] = 7.0


class Peer(Section):
    """Another application entity."""

    name: Name
    ae_title: AETitle
    host: str
    port: Port = 104
    profile: Literal["default", "ohif", "slicer", "legacy", "strict-air"] = "default"
    extras: tuple[Literal["summary", "key-objects", "maps", "pdf", "probabilities"], ...] = ()
    maximum_frames: Annotated[int, Field(ge=1)] | None = None


class When(Section):
    """What a series must be for a route to apply; every key given must match, without regard to case."""

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    called_ae_title: tuple[str, ...] = ()
    calling_ae_title: tuple[str, ...] = ()

    @field_validator("*", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Route(Section):
    """Which analyses run on which series, and who gets the results."""

    when: When = When()
    analyses: tuple[Name, ...]
    send_to: tuple[Name, ...] = ()
    priority: Literal["routine", "stat"] = "routine"


class Config(Section):
    """All of medaet.toml."""

    listener: Listener = Listener()
    database: DatabaseSection = DatabaseSection()
    spool: Spool = Spool()
    series: SeriesSection = SeriesSection()
    worker: WorkerSection = WorkerSection()
    web: Web = Web()
    retention: Retention = Retention()
    peers: tuple[Peer, ...] = ()
    routes: tuple[Route, ...] = ()
    plugins: dict[Name, dict[str, object]] = {}

    @model_validator(mode="after")
    def _names_agree(self) -> "Config":
        names = [peer.name for peer in self.peers]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"peers: the name {doubled[0]!r} is used twice; rename one of them")
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

    def peer(self, name: str) -> Peer | None:
        """Find a peer by its name."""
        return next((peer for peer in self.peers if peer.name == name), None)

    def peer_by_ae_title(self, ae_title: str) -> Peer | None:
        """Find a peer by its AE title."""
        return next((peer for peer in self.peers if peer.ae_title == ae_title), None)
