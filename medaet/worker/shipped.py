"""Certificates that a model brings along: made on the machine that trained it, for the very files that are imported.

A certificate names the analysis by what `Analysis.weights_sha256` gives, which an import decides. So the one in a model
folder names the manifest of the training instead, which names the weights in turn, and is written anew at the import.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from medaet.plugin.case import MANIFEST
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.model import Model, digest, file_sha256

FOLDER = "certificates"


def ship(store: CertificateStore, imported: Path, folder: Path) -> None:
    """Write what the gate certified for an imported model into the folder it was imported from.

    Args:
        store: What the gate kept.
        imported: Where the model was imported to.
        folder: Of the model, as `medaet train` wrote it.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    _copied(
        store, CertificateStore(folder / FOLDER), digest(imported), file_sha256(folder / MANIFEST)
    )


def adopt(source: Path, folder: Path, model: Model, store: CertificateStore) -> list[Certificate]:
    """Take over the certificates that a model brings along, as far as they are for its weights and networks.

    Args:
        source: What was imported: a model folder, or one that holds it alone.
        folder: Where it was imported to.
        model: Its manifest.
        store: Gets them. Whether device and versions are those of this machine is asked at each use, as ever.
    """
    if not (folder / MANIFEST).is_file():
        return []
    shipped = file_sha256(folder / MANIFEST)
    return [
        one
        for found in _folders(source)
        for one in _copied(CertificateStore(found), store, shipped, digest(folder), model)
    ]


def _folders(source: Path) -> Iterator[Path]:
    """Yield the folders of certificates that are no links, at the top or in a folder of it."""
    for one in (source / FOLDER, *sorted(source.glob(f"*/{FOLDER}"))):
        if one.is_dir() and not one.is_symlink():
            yield one


def _placed(certificate: Certificate, source: Path, target: Path) -> bool:
    """Copy the quantised networks of a certificate, unless others of these names vouch for something already."""
    for name, wanted in certificate.files.items():
        target.mkdir(parents=True, exist_ok=True)
        if not (target / name).exists():
            shutil.copyfile(source / name, target / name)
        elif file_sha256(target / name) != wanted:
            return False
    return True


def _copied(
    source: CertificateStore,
    target: CertificateStore,
    weights: str,
    written_for: str,
    model: Model | None = None,
) -> list[Certificate]:
    """Copy the certificates for some weights from store to store, written for what these are called there."""
    copied = []
    for one in source.all():
        if one.weights_sha256 != weights or source.refusal(one):
            continue
        if not _placed(one, source.networks, target.networks):
            continue
        renamed = replace(
            one,
            analysis=model.name if model else one.analysis,
            version=model.version if model else one.version,
            weights_sha256=written_for,
            candidate_sha256=one.candidate_sha256 if one.files else written_for,
        )
        target.keep(renamed)
        copied.append(renamed)
    return copied
