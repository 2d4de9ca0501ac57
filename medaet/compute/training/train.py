"""One run from a configuration to a verified model folder."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from medaet.compute.runtime import Runtime
from medaet.compute.trained.network import build
from medaet.compute.training import candidate, card, checkpoint, export, picture, report, validate
from medaet.compute.training.candidate import Certify
from medaet.compute.training.case import Labelled
from medaet.compute.training.checkpoint import BEST, CHECKPOINT
from medaet.compute.training.deterministic import deterministic
from medaet.compute.training.distributed import others
from medaet.compute.training.loop import Loop
from medaet.compute.training.place import Place
from medaet.compute.training.prepare import TAUGHT, Prepared, prepare
from medaet.compute.training.read import Reader
from medaet.compute.training.report import Outcome
from medaet.compute.training.status import Observer, Say
from medaet.compute.training.validate import Judged
from medaet.config.training import TrainingConfig
from medaet.dicom.volume import Volume

log = structlog.get_logger()

MODEL, REPORT = "model", "report"
MOST_REFERENCES = 2


def train(
    config: TrainingConfig,
    folder: Path,
    devices: Sequence[str] = ("cpu",),
    say: Say | None = None,
    certify: Certify = candidate.none,
) -> Path:
    """Train, validate, report and export; a run that was interrupted goes on from its checkpoint.

    Args:
        config: The training configuration.
        folder: Of the run.
        devices: To train on, in torch's spelling; a process for each.
        say: Takes lines of JSON about the progress.
        certify: Puts the written model folder through the gate of reduced precisions.

    Returns:
        The model folder, to be handed to `medaet models import`.

    Raises:
        MedaetError: the data or the configuration cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deterministic()
    with contextlib.closing(Observer(folder, say)) as observer:
        observer.phase("preparing")
        run = prepare(
            config, folder, devices[0], tell=lambda text: observer.phase("preparing", text)
        )
        observer.phase("training")
        learn(run, devices, observer)
        observer.phase("validating")
        model = finish(run, devices[0], observer, certify)
        observer.phase("done", str(model))
    log.info("training.finished", model=config.name, version=config.version)
    return model


def learn(run: Prepared, devices: Sequence[str], observer: Observer) -> None:
    """Run the loop, on all devices, to its end."""
    with others(run.folder, devices) as (place, meeting):
        place.join(meeting)
        loop = Loop(
            run.plan,
            run.config,
            run.loop_cases,
            place,
            run.folder,
            on_step=lambda progress: observer.step(progress.step),
        )
        observer.plan(loop.epochs * run.plan.steps_per_epoch, loop.epochs)
        loop.resume()
        for epoch in loop.run():
            observer.epoch(epoch)
        place.leave()


def finish(run: Prepared, device: str, observer: Observer, certify: Certify) -> Path:
    """Judge the trained network, write the model folder, try it in reduced precisions, and report all of it."""
    runtime = Runtime(device)
    network = trained(run, device)
    reader = Reader(run.config.structures, run.plan.modality, runtime, run.folder / TAUGHT)
    pictures: dict[str, Image.Image] = {}
    references: dict[str, tuple[Volume, NDArray[np.uint8]]] = {}

    def seen(result: Judged, one: Labelled, found: NDArray[np.uint8]) -> None:
        title = f"{result.name}: mean Dice {result.mean_dice:.3f}"
        pictures[result.name] = picture.disagreement(one, found, title)
        if len(references) < MOST_REFERENCES:
            references[f"case-{len(references) + 1}"] = (one.volume, found)

    results = validate.judge(run, network, reader, runtime, seen=seen)
    observer.phase("exporting")
    folder = run.folder / MODEL
    digest = export.export(folder, run, network.cpu(), references)
    parameters = sum(one.numel() for one in network.parameters())
    observer.phase("certifying")
    candidates = certify(folder, lambda text: observer.phase("certifying", text))
    history = checkpoint.load(run.folder / CHECKPOINT, torch.device("cpu"))[0].history
    report.write(run.folder / REPORT, run, history, Outcome(results, pictures, candidates))
    validate.write(results, run.folder / REPORT / validate.RESULTS)
    candidate.write(candidates, run.folder / REPORT / candidate.PRECISIONS)
    text = card.card(
        run, results, candidates, f"{parameters:,} parameters, weights SHA-256 `{digest}`"
    )
    (folder / export.CARD).write_text(text, encoding="utf-8")
    for name in (report.HTML, report.PNG, validate.RESULTS, candidate.PRECISIONS):
        shutil.copyfile(run.folder / REPORT / name, folder / "docs" / name)
    for one in results:
        log.info("case.judged", case=one.name, split=one.split, dice=round(one.mean_dice, 4))
    return folder


def trained(run: Prepared, device: str) -> nn.Module:
    """Return the network with the weights that count: the best on validation patients, else the last average."""
    network = build(run.plan, seed=run.config.seed)
    best = run.folder / BEST
    if best.exists():
        _, states = checkpoint.load(best, torch.device("cpu"))
        network.load_state_dict(states["weights"])
    else:
        loop = Loop(run.plan, run.config, run.loop_cases, Place(), run.folder)
        loop.resume()
        network.load_state_dict(loop.weights.state_dict())
    return network.to(device).eval()
