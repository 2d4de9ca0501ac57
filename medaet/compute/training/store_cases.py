"""Series in the daemon's own store, and the corrected segmentations that came back to it."""

import contextlib
from pathlib import Path

from medaet.compute.training import dicom_cases
from medaet.compute.training.case import Case
from medaet.config.load import load
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.holdings import instance_paths, result_uids

MODALITIES = ("CT", "MR", "SEG", "RTSTRUCT")


def find(config: Path) -> list[Case]:
    """Find the series a daemon holds, with the objects that label them.

    What MedAET itself found and nobody corrected is no label: a result that a peer returned as it was sent has the
    SOP Instance UID we gave it.

    Args:
        config: The daemon's medaet.toml.
    """
    configured = load(config)
    with contextlib.closing(Database(configured.database_url)) as database:
        paths = instance_paths(database, MODALITIES)
        ours = result_uids(database)
    spool = Spool(configured.spool.path)
    return dicom_cases.group([spool.path(one) for one in paths], without=ours)
