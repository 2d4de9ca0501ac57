"""`medaet models verify` and `medaet models certificates`: reduced precisions, compared with fp32 before they count."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, cast, get_args

import typer
from rich.console import Console

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.series import choose, find_series
from medaet.config.load import load
from medaet.config.model import Config
from medaet.demo.scans import ScanName, write_scan
from medaet.dicom.decoders import Decoders
from medaet.dicom.volume import read_volume
from medaet.errors import ConfigError
from medaet.plugin.analysis import Analysis
from medaet.plugin.case import ReferenceCase, shipped_cases
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.registry import discover
from medaet.precision import REDUCED, EngineName
from medaet.worker.child import WorkerChild
from medaet.worker.verify import Gate


def verify(  # noqa: PLR0913 -- one argument for each option
    name: Annotated[str, typer.Argument(metavar="ANALYSIS", help="an installed analysis or model")],
    *,
    precision: Annotated[str, typer.Option(help=f"one of {', '.join(REDUCED)}")],
    engine: Annotated[str, typer.Option(help="auto, or one of docs/engines.md")] = "auto",
    case: Annotated[
        list[Path] | None,
        typer.Option(
            help="a folder of scans, one case; those that came with it without", exists=True
        ),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="quantise again what has been quantised before")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, or cuda:0")] = "cpu",
    module: Annotated[
        list[str] | None, typer.Option(help="a plugin module that is not installed")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Run reference cases in fp32 and in a reduced precision, and certify what keeps the analysis' limits.

    Exit 0 when it is certified, 1 when it is refused (each structure and figure is named), 2 for wrong options.
    """
    with exit_codes():
        if precision not in REDUCED:
            raise ConfigError(f"--precision {precision!r}: one of {', '.join(REDUCED)}")
        if engine != "auto" and engine not in get_args(EngineName):
            raise ConfigError(f"--engine {engine!r}: auto, {', '.join(get_args(EngineName))}")
        configured = load(config)
        registry = discover(module or (), configured.models_path)
        analysis = registry.analyses.get(name)
        if analysis is None:
            known = ", ".join(sorted(registry.analyses)) or "none"
            raise ConfigError(f"no analysis named {name!r} is installed; installed are {known}")
        settings = configured.plugins.get(name, {})
        registry.with_settings(name, settings)
        child = WorkerChild(
            device, module or (), models=configured.models_path, cache=configured.cache_path
        )
        try:
            with Console(stderr=True).status("reading cases ...") as status:
                gate = Gate(
                    analysis,
                    settings,
                    _cases(analysis, case or ()),
                    child,
                    CertificateStore(configured.certificates_path),
                    seconds=configured.worker.job_timeout_seconds,
                    say=status.update,
                )
                wanted = None if engine == "auto" else cast(EngineName, engine)
                certificate = gate.verify(precision, wanted, anew=anew)
        finally:
            child.close()
    if as_json:
        print_json({**_plain(certificate), "figures": certificate.figures})
        return
    _show(certificate, configured)


def certificates(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the certificates of reduced precisions. Exit 0."""
    with exit_codes():
        store = CertificateStore(load(config).certificates_path)
    rows = [{**_plain(one), "state": store.refusal(one) or "well"} for one in store.all()]
    if as_json:
        print_json(rows)
        return
    columns = (
        "analysis",
        "version",
        "precision",
        "engine",
        "device",
        "lowest_dice",
        "speed",
        "state",
    )
    print_table(
        [column.replace("_", " ") for column in columns],
        [[row[column] for column in columns] for row in rows],
        empty="no reduced precision is certified; `medaet models verify` does it",
    )


def _cases(analysis: type[Analysis], folders: Sequence[Path]) -> list[ReferenceCase]:
    """Read the cases that are named, else those that came with the analysis, else its bundled scan."""
    if folders:
        return [_read(analysis, folder) for folder in folders]
    shipped = shipped_cases(analysis)
    if shipped or analysis.name not in get_args(ScanName):
        return shipped
    with TemporaryDirectory(prefix="medaet-case-") as scratch:
        write_scan(cast(ScanName, analysis.name), Path(scratch))
        return [_read(analysis, Path(scratch))]


def _read(analysis: type[Analysis], folder: Path) -> ReferenceCase:
    chosen = choose(analysis, find_series([folder]))
    with Decoders() as decoders:
        inputs = {
            role: read_volume(one.paths, analysis.inputs[role].choice, decoders=decoders)
            for role, one in chosen.items()
        }
    return ReferenceCase(folder.name, inputs)


def _plain(one: Certificate) -> dict[str, object]:
    faster = one.reference_seconds / max(one.candidate_seconds, 1e-3)
    return {
        "analysis": one.analysis,
        "version": one.version,
        "precision": one.precision,
        "engine": one.engine,
        "device": one.platform.get("device", ""),
        "platform": dict(one.platform),
        "sha256": one.sha256,
        "weights_sha256": one.weights_sha256,
        "candidate_sha256": one.candidate_sha256,
        "lowest_dice": one.lowest_dice,
        "speed": f"{faster:.2f} times fp32 in torch",
        "verified_at": one.verified_at,
    }


def _show(certificate: Certificate, config: Config) -> None:
    numbers = {
        case: n for n, case in enumerate(dict.fromkeys(f.case for f in certificate.figures), 1)
    }
    print_table(
        ("case", "structure", "Dice", "ml in fp32", f"ml in {certificate.precision}", "% off"),
        [
            (
                numbers[one.case],
                one.label,
                f"{one.dice:.4f}",
                f"{one.reference_ml:.2f}",
                f"{one.volume_ml:.2f}",
                f"{one.volume_error_percent:.2f}",
            )
            for one in certificate.figures
        ],
        empty="nothing was compared",
    )
    plain = _plain(certificate)
    typer.echo(f"certificate {certificate.sha256}, {plain['speed']}")
    wanted = config.compute.get(certificate.analysis)
    if wanted is None or certificate.precision not in (wanted.precision, wanted.spare_precision):
        typer.echo(
            f'it counts with [compute.{certificate.analysis}] precision = "{certificate.precision}"'
        )
