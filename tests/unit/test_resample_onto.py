"""One volume on the grid of another: against SimpleITK, and at the edges."""

import numpy as np
import pytest
import SimpleITK
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medaet.compute.registration.frames import Frames, bring_together, moved, same_frame
from medaet.compute.registration.lattice import Warp
from medaet.compute.registration.resample import resampled
from medaet.dicom.volume import Volume
from medaet.errors import PluginError, RegistrationError
from medaet.plugin.registration import Alignment, Deformation, Registration

pytestmark = pytest.mark.usefixtures("one_thread")


def _volume(
    shape: tuple[int, int, int], vector: list[float], spacing: list[float], modality: str = "MR"
) -> Volume:
    noise = np.random.default_rng(len(vector)).normal(500, 300, shape)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(vector).as_matrix() * spacing
    affine[:3, 3] = (3.0, -8.0, 5.0)
    voxels = ndimage.gaussian_filter(noise, 1).astype(np.float32)
    return Volume(voxels, affine, modality, frame_of_reference_uid=f"{modality}{shape}")


def _registration(moving: Volume, fixed: Volume) -> Registration:
    """Turn the moving volume, and put its middle on that of the fixed one."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([0.1, -0.2, 0.15]).as_matrix()
    here, there = (
        one.affine @ [*(np.array(one.voxels.shape[::-1]) - 1) / 2, 1] for one in (moving, fixed)
    )
    matrix[:3, 3] = there[:3] - matrix[:3, :3] @ here[:3] + (0.2, -0.3, 0.1)
    return Registration("mr", "ct", "rigid", matrix)


def _image(volume: Volume) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(np.asarray(volume.voxels, dtype=np.float64))
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())
    return image


@pytest.fixture
def mr() -> Volume:
    return _volume((20, 30, 28), [0.2, 0.1, -0.3], [0.9, 0.8, 1.7])


@pytest.fixture
def ct() -> Volume:
    return _volume((26, 24, 22), [-0.1, 0.05, 0.2], [1.1, 1.2, 1.3], "CT")


def test_resampled_agrees_with_simpleitk(mr: Volume, ct: Volume) -> None:
    registration = _registration(mr, ct)
    back = np.linalg.inv(registration.matrix)
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(back[:3, :3].ravel().tolist())
    transform.SetTranslation(back[:3, 3].tolist())
    wanted = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(_image(mr), _image(ct), transform, SimpleITK.sitkLinear, -1e6)
    )
    found = resampled(mr, ct, registration).voxels
    inside = wanted > -1e6
    assert inside.mean() > 0.5
    assert np.abs(found - wanted)[inside].max() < 0.1


def test_resampled_rounds_whole_numbers_and_is_dark_outside(mr: Volume, ct: Volume) -> None:
    whole = Volume(np.rint(mr.voxels).astype(np.int16), mr.affine, "MR")
    found = resampled(whole, ct, _registration(mr, ct))
    assert found.voxels.dtype == np.int16
    assert found.voxels.min() == whole.voxels.min()
    assert found.frame_of_reference_uid == ct.frame_of_reference_uid
    hollow = Volume(np.zeros((4, 4, 4), np.int16), mr.affine, "CT")
    assert resampled(hollow, ct, _registration(mr, ct)).voxels.min() == -1000


def test_resampled_does_not_mix_padding_in(ct: Volume) -> None:
    voxels = np.full((6, 8, 8), 40, np.int16)
    voxels[:, :, :4] = -2000
    padded = Volume(voxels, np.eye(4), "CT", padding=(-2000.0, -2000.0))
    onto = Volume(np.zeros((6, 8, 15), np.int16), np.diag([0.5, 1, 1, 1.0]), "CT")
    assert resampled(padded, onto, same_frame("a", "b")).voxels.min() == -1000


def test_resampled_follows_a_deformation(mr: Volume) -> None:
    shift = np.zeros((3, 3, 3, 3), np.float32)
    shift[..., 0] = 2 * 0.9
    grid = np.diag([20.0, 20, 20, 1])
    flat = Volume(mr.voxels, np.diag([0.9, 0.8, 1.7, 1.0]), "MR")
    registration = Registration(
        "mr", "ct", "deformable", np.eye(4), deformation=Deformation(shift, grid)
    )
    found = resampled(flat, flat, registration).voxels
    assert np.abs(found[:, :, :-2] - flat.voxels[:, :, 2:]).max() < 1e-2


def test_carried_masks_keep_their_volume(mr: Volume, ct: Volume) -> None:
    frames = Frames()
    frames.add(mr.frame_of_reference_uid, ct.frame_of_reference_uid, _registration(mr, ct))
    index = np.indices(mr.voxels.shape)
    middle = np.array(mr.voxels.shape).reshape(3, 1, 1, 1) / 2
    away = (index - middle) * np.array(mr.spacing_mm).reshape(3, 1, 1, 1)
    ball = (away**2).sum(0) < 7**2
    there = frames.carried(ball, mr, ct)
    assert there.sum() * ct.voxel_ml == pytest.approx(ball.sum() * mr.voxel_ml, rel=0.03)


def test_frames_lead_both_ways_and_remember(mr: Volume, ct: Volume) -> None:
    frames = Frames()
    registration = _registration(mr, ct)
    frames.add(mr.frame_of_reference_uid, ct.frame_of_reference_uid, registration)
    assert frames.on(mr, ct) is frames.on(mr, ct)
    back = Registration("ct", "mr", "rigid", np.asarray(np.linalg.inv(registration.matrix)))
    assert np.array_equal(frames.on(ct, mr).voxels, resampled(ct, mr, back).voxels)
    shown = frames.on(mr, ct)
    assert shown.on(ct).voxels.shape == ct.voxels.shape


def test_frames_refuse_what_nothing_connects(mr: Volume, ct: Volume) -> None:
    with pytest.raises(RegistrationError, match="alignments"):
        Frames().on(mr, ct)
    with pytest.raises(RegistrationError, match="running analysis"):
        mr.on(ct)
    with pytest.raises(RegistrationError, match="shape"):
        Frames().carried(np.ones((1, 2, 3), np.bool_), mr, ct)
    one_way = Registration(
        "mr",
        "ct",
        "deformable",
        np.eye(4),
        Deformation(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)),
    )
    frames = Frames()
    frames.add(mr.frame_of_reference_uid, ct.frame_of_reference_uid, one_way)
    with pytest.raises(RegistrationError, match="one way"):
        frames.on(ct, mr)


def test_bring_together_needs_no_registration_in_one_frame(mr: Volume, ct: Volume) -> None:
    same = Volume(ct.voxels, ct.affine, "CT", frame_of_reference_uid=mr.frame_of_reference_uid)
    wishes = {"mr": Alignment(onto="ct")}
    inputs, made = bring_together(wishes, {"ct": same, "mr": mr}, "cpu")
    assert [one.model for one in made] == ["same frame"]
    assert np.array_equal(
        inputs["mr"].on(inputs["ct"]).voxels, resampled(mr, same, same_frame("", "")).voxels
    )
    assert [one.series for one in moved(wishes, inputs, made)] == [False]


def test_bring_together_gives_up_or_goes_on_as_the_manifest_says(mr: Volume, ct: Volume) -> None:
    inputs = {"ct": ct, "mr": mr}
    with pytest.raises(RegistrationError):
        bring_together({"mr": Alignment(onto="ct")}, inputs, "cpu")
    known, made = bring_together({"mr": Alignment(onto="ct", required=False)}, inputs, "cpu")
    assert made == ()
    with pytest.raises(RegistrationError, match=r"cannot be registered|too little"):
        known["mr"].on(known["ct"])


def test_bring_together_skips_a_role_that_is_not_there(ct: Volume) -> None:
    inputs, made = bring_together({"mr": Alignment(onto="ct")}, {"ct": ct}, "cpu")
    assert made == ()
    assert list(inputs) == ["ct"]


def test_volumes_without_frame_are_never_taken_for_one_frame(mr: Volume) -> None:
    nameless = Volume(mr.voxels, mr.affine, "MR")
    inputs, _ = bring_together({}, {"a": nameless, "b": nameless}, "cpu")
    with pytest.raises(RegistrationError):
        inputs["a"].on(inputs["b"])


def test_alignment_refuses_a_model_that_there_is_not() -> None:
    with pytest.raises(PluginError, match="rigid"):
        Alignment(onto="ct", model="elastic")  # type: ignore[arg-type]


def test_warp_beyond_its_grid_goes_on_as_at_its_edge() -> None:
    field = torch.zeros(3, 2, 2, 2)
    field[0] = 4
    warp = Warp(field, torch.eye(4, dtype=torch.float64))
    assert warp(torch.tensor([[100.0, 0, 0]])).tolist() == [[104.0, 0, 0]]
