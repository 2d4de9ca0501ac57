"""Peer profiles from the encode stage to the archive: what each peer is asked, made for, sent, and told about."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    JPEGLSLossless,
    SegmentationStorage,
)
from sqlalchemy import select

from medaet.config.model import Config, Peer
from medaet.plugin.registry import Registry
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.results.recipe import LabelMapSegmentationStorage
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.tables import DeliveryState, EventRow, JobRow, JobState
from medaet.testing.pacs import StandInPacs
from medaet.testing.phantom import write_series
from medaet.testing.run import two_boxes
from medaet.testing.work import Work
from medaet_daemon.deliver import Deliver
from medaet_daemon.encode import Encode
from medaet_daemon.inputs import Inputs
from medaet_daemon.plans import AGAIN_SECONDS, PeerPlans
from tests.stages.test_encode import Tame


@pytest.fixture
def work(tmp_path: Path, spool: Spool, instances: InstanceStore, jobs: JobQueue) -> Work:
    return Work.received(write_series(tmp_path / "ct"), spool, instances, jobs)


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[StandInPacs]:
    with StandInPacs(tmp_path / "pacs") as running:
        yield running


def refusing(folder: Path, *sop_classes: str) -> StandInPacs:
    return StandInPacs(folder, refused_sop_classes=sop_classes)


def configured(port: int, profile: str, **more: object) -> Config:
    peer = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
    return Config(peers=(Peer.model_validate({**peer, "profile": profile, **more}),))


def deliver(work: Work, deliveries: DeliveryQueue, config: Config) -> list[pydicom.Dataset]:
    """Analyse, encode and send; return what the archive got."""
    work.analysed(two_boxes(work.volume))
    registry = Registry(analyses={Tame.name: Tame})
    inputs = Inputs(work.instances, work.spool, registry)
    Encode(inputs, work.spool, work.jobs, registry, PeerPlans(config)).step()
    assert work.job().state is JobState.DONE
    Deliver(work.spool, deliveries, config).step()
    return [pydicom.dcmread(work.spool.path(one.path)) for one in deliveries.list()]


def kinds(sent: list[pydicom.Dataset]) -> set[str]:
    return {str(one.Modality) for one in sent}


def replaced(work: Work) -> list[dict[str, object]]:
    query = select(EventRow).where(EventRow.name == "result.replaced").order_by(EventRow.id)
    with work.instances.database.read() as session:
        return [dict(row.details) for row in session.scalars(query)]


def test_default_peer_gets_bits_and_a_report(
    work: Work, deliveries: DeliveryQueue, pacs: StandInPacs
) -> None:
    sent = deliver(work, deliveries, configured(pacs.port, "default"))
    classes = {one.SOPClassUID for one in sent}
    assert classes == {SegmentationStorage, Comprehensive3DSRStorage}
    assert len(pacs.received) == 2
    assert replaced(work) == []


def test_ohif_peer_gets_a_compressed_label_map_and_points(
    work: Work, deliveries: DeliveryQueue, pacs: StandInPacs
) -> None:
    sent = {
        one.SOPClassUID: one for one in deliver(work, deliveries, configured(pacs.port, "ohif"))
    }
    label_map = sent[LabelMapSegmentationStorage]
    assert label_map.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert "SCOORD" in str(sent[Comprehensive3DSRStorage])
    assert len(pacs.received) == 2


def test_legacy_peer_gets_pictures_and_a_document_with_extras(
    work: Work, deliveries: DeliveryQueue, pacs: StandInPacs
) -> None:
    config = configured(pacs.port, "legacy", extras=["key-objects"])
    sent = deliver(work, deliveries, config)
    assert kinds(sent) == {"OT", "DOC", "KO"}
    assert len(pacs.received) == len(sent)


def test_archive_that_takes_no_segmentation_gets_the_declared_fallback_and_an_event_says_so(
    tmp_path: Path, work: Work, deliveries: DeliveryQueue
) -> None:
    with refusing(tmp_path / "old", SegmentationStorage, Comprehensive3DSRStorage) as old:
        sent = deliver(work, deliveries, configured(old.port, "default"))
        assert len(old.received) == len(sent)
    assert {one.state for one in deliveries.list()} == {DeliveryState.SENT}
    assert kinds(sent) == {"OT", "SR"}
    assert {one.SOPClassUID for one in sent if one.Modality == "SR"} == {ComprehensiveSRStorage}
    segmentation, report = replaced(work)
    assert (segmentation["kind"], segmentation["instead"]) == ("SEG", "summary")
    assert (report["kind"], report["instead"]) == ("SR", "Comprehensive SR Storage")
    assert segmentation["peer"] == report["peer"] == "pacs"


def test_strict_peer_that_refuses_leaves_dead_letters(
    tmp_path: Path, work: Work, deliveries: DeliveryQueue
) -> None:
    with refusing(tmp_path / "strict", SegmentationStorage) as strict:
        deliver(work, deliveries, configured(strict.port, "strict-air"))
    states = {one.kind: one.state for one in deliveries.list()}
    assert states == {"SEG": DeliveryState.DEAD, "SR": DeliveryState.SENT}


def test_peers_of_several_profiles_each_get_their_own_objects(
    work: Work, deliveries: DeliveryQueue, pacs: StandInPacs
) -> None:
    one = configured(pacs.port, "default").peers[0]
    two = one.model_copy(update={"name": "viewer", "profile": "slicer"})
    three = one.model_copy(update={"name": "old", "profile": "legacy"})
    config = Config(peers=(one, two, three))
    with work.instances.database.write() as session:
        row = session.get_one(JobRow, work.job_id)
        row.send_to = ["pacs", "viewer", "old"]
    sent = deliver(work, deliveries, config)
    by_peer: dict[str, set[str]] = {}
    for delivery, dataset in zip(deliveries.list(), sent, strict=True):
        by_peer.setdefault(delivery.peer, set()).add(str(dataset.Modality))
    assert by_peer == {"pacs": {"SEG", "SR"}, "viewer": {"SEG", "SR"}, "old": {"OT", "DOC"}}


def test_peer_that_is_away_is_taken_to_take_everything_and_asked_again(
    tmp_path: Path, free_port: int
) -> None:
    now = [0.0]
    plans = PeerPlans(configured(free_port, "ohif"), lambda: now[0])
    first = plans.of("pacs")
    assert not first.replaced
    with StandInPacs(
        tmp_path / "back", port=free_port, refused_sop_classes=[LabelMapSegmentationStorage]
    ):
        assert plans.of("pacs") == first
        now[0] += AGAIN_SECONDS
        (one,) = plans.of("pacs").replaced
    assert one.instead == "Segmentation Storage (bits)"
