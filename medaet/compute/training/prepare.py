"""A run made ready: cases found, split, summarised, planned for and preprocessed; all kept in the run's folder."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medaet.compute.runtime import Runtime
from medaet.compute.trained.plan import Plan
from medaet.compute.training import cache
from medaet.compute.training.cache import Cached
from medaet.compute.training.case import Case
from medaet.compute.training.cases import Source, find
from medaet.compute.training.fingerprint import Fingerprint, fingerprint
from medaet.compute.training.loop import Cases
from medaet.compute.training.planning import budget, plan
from medaet.compute.training.read import Reader, file_values
from medaet.compute.training.split import check_contents, split
from medaet.config.training import SplitName, Structure, TrainingConfig
from medaet.errors import ConfigError

PLAN, CASES, CONFIG = "plan.json", "cases.json", "training.json"
CACHE, TAUGHT = "cache", "taught"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a case in the run's folder; nothing of it names a patient.

    Attributes:
        key: Of its folder in the cache.
        voxels: Count of each structure, background first.
    """

    name: str
    patient_key: str
    split: str
    labelled_by: str
    key: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    voxels: tuple[int, ...]
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin.

    Attributes:
        config: With the structures that the data named.
        cases: By split, as they are read.
        known: What the run's folder says of them.
    """

    config: TrainingConfig
    plan: Plan
    cases: tuple[Case, ...]
    known: tuple[Known, ...]
    folder: Path

    def of(self, wanted: SplitName) -> list[Case]:
        """Return the cases of a split."""
        return [case for case in self.cases if case.split == wanted]

    def cached(self, wanted: SplitName) -> list[Cached]:
        """Map the preprocessed cases of a split into memory."""
        return [
            cache.read(self.folder / CACHE / one.key, one.name, len(self.plan.structures))
            for one in self.known
            if one.split == wanted
        ]

    @property
    def loop_cases(self) -> Cases:
        """What the loop learns from and stops by."""
        return Cases(self.cached("train"), self.cached("validation"))


def prepare(
    config: TrainingConfig, folder: Path, device: str, *, tell: Tell = lambda _text: None
) -> Prepared:
    """Make a run ready; what an earlier call left in the folder is used again where it still fits.

    Args:
        config: The training configuration.
        folder: Of the run.
        device: That the network must fit.
        tell: Called with a few words about what is being done.

    Raises:
        ConfigError: of the data, the splits or the configuration.
        GeometryError: a scan is not one regular volume, or does not lie on its labels' grid.
    """
    sources = find(config)
    config = config.model_copy(update={"structures": structures_of(config, sources)})
    cases = split(
        [case for source in sources for case in source.cases],
        validation_share=config.validation_share,
        test_share=config.test_share,
        seed=config.seed,
    )
    _check_names(cases)
    _check_same_run(folder, config)
    modality = _modality(config, sources, cases)
    reader = Reader(config.structures, modality, Runtime(device), folder / TAUGHT)
    prints = _fingerprints(cases, reader, config, tell)
    check_contents({name: one.digest for name, one in prints.items()}, cases)
    _check_shown(config, [prints[case.name] for case in cases if case.split == "train"])
    made = _plan(config, prints, cases, modality, device)
    made.write(folder / PLAN)
    run = Prepared(config, made, tuple(cases), (), folder)
    run = replace(run, known=tuple(_preprocess(run, prints, reader, tell)))
    (folder / CASES).write_text(
        json.dumps([asdict(one) for one in run.known], indent=1), encoding="utf-8"
    )
    (folder / CONFIG).write_text(config.model_dump_json(indent=1), encoding="utf-8")
    return run


def prepared(folder: Path) -> Prepared:
    """Read back what `prepare` left, without the cases' files: what a further process of the run needs."""
    raw: list[dict[str, Any]] = json.loads((folder / CASES).read_text(encoding="utf-8"))
    known = tuple(Known(**one) for one in raw)
    config = TrainingConfig.model_validate_json((folder / CONFIG).read_text(encoding="utf-8"))
    return Prepared(config, Plan.read(folder / PLAN), (), known, folder)


def structures_of(config: TrainingConfig, sources: Sequence[Source]) -> tuple[Structure, ...]:
    """Name what is to be learned: the configuration's structures, else those that the data list."""
    if config.structures:
        return config.structures
    names: dict[int, str] = {}
    for source in sources:
        names.update(source.names)
    if not names:
        labelled = [
            case
            for source in sources
            for case in source.cases
            if case.kind == "file" and case.labels
        ]
        values = sorted({value for case in labelled for value in file_values(case)})
        names = {value: f"Label {value}" for value in values}
    if not names:
        raise ConfigError(
            "structures: the data do not name any; list those to learn, each with the name of its segment or ROI"
        )
    return tuple(Structure(name=name, label=value) for value, name in sorted(names.items()))


def _check_names(cases: Sequence[Case]) -> None:
    names = [case.name for case in cases]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ConfigError(
            f"data: two cases are named {doubled[0]!r}; rename a file, or take one source out"
        )


def _check_same_run(folder: Path, config: TrainingConfig) -> None:
    """Refuse to go on with a run whose configuration changed under it; the cache of preprocessed cases may stay."""
    folder.mkdir(parents=True, exist_ok=True)
    before = folder / CONFIG
    if (
        before.is_file()
        and TrainingConfig.model_validate_json(before.read_text(encoding="utf-8")) != config
    ):
        raise ConfigError(
            f"{folder} holds a run of another configuration; use --fresh to start it anew, or another --out"
        )


def fresh(folder: Path) -> None:
    """Forget a run, but not what it preprocessed."""
    for entry in folder.glob("*") if folder.is_dir() else ():
        if entry.name == CACHE:
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _modality(config: TrainingConfig, sources: Sequence[Source], cases: Sequence[Case]) -> str:
    """Say what the scans are: one modality, or several told apart by nothing, as "any"."""
    if config.modality:
        return config.modality[0] if len(config.modality) == 1 else "any"
    found = {source.modality for source in sources if source.modality}
    found |= {case.attributes["modality"] for case in cases if "modality" in case.attributes}
    if len(found) > 1:
        return "any"
    if not found:
        raise ConfigError('modality: the files do not say what they are; write "CT" or "MR"')
    return found.pop()


def _fingerprints(
    cases: Sequence[Case], reader: Reader, config: TrainingConfig, tell: Tell
) -> dict[str, Fingerprint]:
    prints = {}
    for number, case in enumerate(cases, start=1):
        tell(f"looking at scan {number} of {len(cases)}")
        prints[case.name] = fingerprint(reader.read(case), len(config.structures), seed=config.seed)
    return prints


def _check_shown(config: TrainingConfig, prints: Sequence[Fingerprint]) -> None:
    for number, structure in enumerate(config.structures, start=1):
        if not any(one.voxels[number] for one in prints):
            raise ConfigError(
                f"structures: no training scan shows {structure.name!r}; mend its name or label, or take it out"
            )


def _plan(
    config: TrainingConfig,
    prints: dict[str, Fingerprint],
    cases: Sequence[Case],
    modality: str,
    device: str,
) -> Plan:
    train = [prints[case.name] for case in cases if case.split == "train"]
    return plan(config, train, modality, budget(device))


def _preprocess(
    run: Prepared, prints: dict[str, Fingerprint], reader: Reader, tell: Tell
) -> list[Known]:
    cases, made, config, folder = run.cases, run.plan, run.config, run.folder
    background = config.synthesis.split_background if config.synthesis.used else 0
    known = []
    for number, case in enumerate(cases, start=1):
        tell(f"preprocessing scan {number} of {len(cases)}")
        one, summary = reader.read(case), prints[case.name]
        key = cache.key(made, summary.digest, one.labels, background)
        cache.write(folder / CACHE / key, one, made, background=background, seed=config.seed)
        known.append(
            Known(
                name=case.name,
                patient_key=case.patient_key,
                split=case.split,
                labelled_by=summary.labelled_by,
                key=key,
                shape=summary.shape,
                spacing_mm=tuple(np.round(summary.spacing_mm, 4).tolist()),
                voxels=summary.voxels,
                attributes=dict(case.attributes),
            )
        )
    return known
