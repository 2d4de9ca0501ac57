"""`medaet plugins list`: the registry, with what the tables know of each analysis."""

import contextlib
from collections.abc import Mapping, Sequence

import typer

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.tables import opened
from medaet.config.load import load
from medaet.config.model import Config
from medaet.errors import MedaetError
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.registry import Registry, discover
from medaet.plugin.selector import SeriesSelector
from medaet.queue.trials import last_failures
from medaet.worker.peaks import PEAKS, Peaks

COLUMNS = (
    "analysis",
    "version",
    "source",
    "environment",
    "hash",
    "takes",
    "memory",
    "certificate",
    "state",
    "last failure",
)
HASH_DIGITS = 12


def list_plugins(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the installed analyses, where they run and how they do, and the refused plugins. Exit 0."""
    with exit_codes():
        configured = load(config)
        registry = discover(models=configured.models_path)
        rows = rows_of(configured, registry, _failures(configured))
    if as_json:
        print_json({"analyses": rows, "refused": registry.refused})
        return
    print_table(
        COLUMNS,
        [
            (
                one["name"],
                one["version"],
                one["source"],
                one["environment"],
                str(one["weights_sha256"])[:HASH_DIGITS],
                one["takes"],
                one["memory"],
                one["certificate"],
                one["state"],
                one["last_failure"],
            )
            for one in rows
        ],
        empty="no analysis is installed",
    )
    for refused in registry.refused:
        typer.echo(f"refused: {refused.name}: {refused.reason}", err=True)


def wants(selector: SeriesSelector) -> str:
    """Say which series a selector takes."""
    parts = f" of {' or '.join(selector.body_part)}" if selector.body_part else ""
    kinds = (selector.modality,) if isinstance(selector.modality, str) else selector.modality
    if selector.refers_to is not None:
        return f"{' or '.join(kinds)} that refers to {selector.refers_to}"
    return f"{' or '.join(kinds)}{parts}, {selector.min_slices} slices or more"


def rows_of(
    config: Config, registry: Registry, failures: Mapping[str, str]
) -> list[dict[str, object]]:
    """Describe every analysis by columns, with its last failure if it had one."""
    certificates = CertificateStore(config.certificates_path).all()
    peaks = _measured_mb(config)
    rows = []
    for name, one in sorted(registry.analyses.items()):
        source, weights = registry.sources[name], _hash(one)
        measured = peaks.get(name)
        rows.append(
            {
                "name": name,
                "version": one.version,
                "title": one.title,
                "source": str(source),
                "environment": source.environment,
                "weights_sha256": weights,
                "takes": "; ".join(wants(each) for each in one.inputs.values()),
                "memory_mb": one.memory_mb,
                "measured_mb": measured,
                "memory": f"{measured} MB" if measured else f"about {one.memory_mb} MB",
                "certificate": _certified(certificates, one, weights),
                "state": _state(config, registry, name),
                "last_failure": failures.get(name, ""),
            }
        )
    return rows


def _state(config: Config, registry: Registry, name: str) -> str:
    """Say whether the analysis gets jobs, and on which terms."""
    if name in registry.disabled:
        return "disabled"
    said = ["live"] if any(name in route.analyses for route in config.routes) else []
    said += ["shadow"] if any(name in route.shadow for route in config.routes) else []
    said += [
        f"canary, {one.percent:g} % of {one.instead_of}"
        for route in config.routes
        for one in route.canary
        if one.analysis == name
    ]
    return "; ".join(said) or "no route"


def _certified(certificates: Sequence[Certificate], analysis: type[Analysis], weights: str) -> str:
    """Name the precisions that an analysis may compute in besides fp32, and where; or say that it has outgrown them."""
    own = [one for one in certificates if one.analysis == analysis.name]
    held = [
        f"{one.precision} on {one.platform.get('device', 'another device')}"
        for one in own
        if one.version == analysis.version and one.weights_sha256 == weights
    ]
    return "; ".join(dict.fromkeys(held)) or ("of other weights" if own else "")


def _measured_mb(config: Config) -> Mapping[str, int]:
    """Read the most memory, of host or device, that runs of each analysis took, on whatever device."""
    found: dict[str, int] = {}
    for path in sorted(config.cache_path.glob(f"{PEAKS}*.json")):
        for key, _, peak in Peaks(path).rows():
            name = key.partition(" ")[0]
            most = max(peak.host_bytes, peak.device_bytes) // 1_000_000
            found[name] = max(most, found.get(name, 0))
    return found


def _hash(analysis: type[Analysis]) -> str:
    try:
        return weights_sha256(analysis)
    except (MedaetError, OSError) as error:
        return str(error)


def _failures(config: Config) -> Mapping[str, str]:
    """Read the last failures, where there is a database; the list is as useful before there is one."""
    with contextlib.suppress(MedaetError), opened(config) as database:
        return last_failures(database)
    return {}
