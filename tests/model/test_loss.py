"""Both losses, by hand, against a slow loop, and in the number formats that training uses."""

import math
from typing import cast, get_args

import numpy as np
import pytest
import torch
from small_networks import feature_maps
from torch import Tensor
from torch.nn import functional as F

from rdad.config.compose import CONF_DIR
from rdad.model.loss import ReverseDistillationLoss, cosine_distance
from rdad.model.names import LossName

SHAPES = ((3, 4, 5, 6), (3, 7, 2, 3))
KINDS: tuple[LossName, ...] = ("global_cosine", "local_cosine")
WEIGHTED: tuple[LossName, ...] = ("hard_mining", "loose")


def teacher_and_student() -> tuple[list[Tensor], list[Tensor]]:
    return feature_maps(*SHAPES, seed=1), feature_maps(*SHAPES, seed=2)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def slow_loss(kind: str, teacher: list[Tensor], student: list[Tensor]) -> float:
    """The definition, a sample and a place at a time, in Python's own numbers."""
    total = 0.0
    for t, s in zip(teacher, student, strict=True):
        samples = []
        for encoded, decoded in zip(t.double().numpy(), s.double().numpy(), strict=True):
            if kind == "global_cosine":
                samples.append(1 - cosine(encoded.ravel(), decoded.ravel()))
                continue
            _, height, width = encoded.shape
            places = [
                1 - cosine(encoded[:, row, column], decoded[:, row, column])
                for row in range(height)
                for column in range(width)
            ]
            samples.append(sum(places) / len(places))
        total += sum(samples) / len(samples)
    return total


def test_two_places_by_hand():
    # one sample, two channels, two places: channel vectors (1, 0), (0, 1) and (1, 0), (1, 0)
    encoded = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 2, 1, 2)
    decoded = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).view(1, 2, 1, 2)
    half = pytest.approx(0.5, abs=1e-6)
    # flattened (1, 0, 0, 1) · (1, 1, 0, 0) = 1, over √2·√2
    assert ReverseDistillationLoss("global_cosine")([encoded], [decoded]).item() == half
    assert ReverseDistillationLoss("local_cosine")([encoded], [decoded]).item() == half
    # the first place's vectors (3, 0): flattened 9 / (√10·√10); the places' angles as before
    stretch = torch.tensor([3.0, 1.0]).view(1, 1, 1, 2)
    stretched = [encoded * stretch], [decoded * stretch]
    assert ReverseDistillationLoss("global_cosine")(*stretched).item() == pytest.approx(
        0.1, abs=1e-6
    )
    assert ReverseDistillationLoss("local_cosine")(*stretched).item() == half


@pytest.mark.parametrize("kind", KINDS)
def test_loss_equals_a_slow_loop(kind: LossName):
    found = ReverseDistillationLoss(kind)(*teacher_and_student())
    assert found.shape == () and found.dtype == torch.float32
    assert found.item() == pytest.approx(slow_loss(kind, *teacher_and_student()), abs=1e-6)


def test_global_loss_is_cosine_similarity_of_flattened_maps():
    teacher, student = teacher_and_student()
    expected = sum(
        (1 - F.cosine_similarity(t.flatten(1), s.flatten(1))).mean()
        for t, s in zip(teacher, student, strict=True)
    )
    torch.testing.assert_close(ReverseDistillationLoss()(teacher, student), expected)


def test_global_loss_is_the_default():
    assert ReverseDistillationLoss().kind == "global_cosine"


def test_losses_differ_where_places_differ_in_strength():
    pair = teacher_and_student()
    losses = [ReverseDistillationLoss(kind)(*pair).item() for kind in KINDS]
    assert abs(losses[0] - losses[1]) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_memory_layout_does_not_change_the_loss(kind: LossName):
    loss, (teacher, student) = ReverseDistillationLoss(kind), teacher_and_student()
    last = [x.to(memory_format=torch.channels_last) for x in student]
    assert not any(x.is_contiguous() for x in last)
    torch.testing.assert_close(loss(teacher, last), loss(teacher, student), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_features_are_compared_in_float32(kind: LossName):
    loss = ReverseDistillationLoss(kind)
    teacher, student = ([x.bfloat16() for x in side] for side in teacher_and_student())
    expected = loss([x.float() for x in teacher], [x.float() for x in student])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(teacher, student)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_features_and_stretched_ones_lose_nothing(kind: LossName):
    teacher, _ = teacher_and_student()
    loss = ReverseDistillationLoss(kind)
    assert loss(teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    assert loss(teacher, [3 * x for x in teacher]).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_opposite_features_lose_two_a_layer(kind: LossName):
    teacher, _ = teacher_and_student()
    opposite = [-x for x in teacher]
    assert ReverseDistillationLoss(kind)(teacher, opposite).item() == pytest.approx(4, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_of_a_batch_is_the_mean_of_its_samples(kind: LossName):
    loss, (teacher, student) = ReverseDistillationLoss(kind), teacher_and_student()
    alone = [
        loss([t[i : i + 1] for t in teacher], [s[i : i + 1] for s in student]).item()
        for i in range(3)
    ]
    assert loss(teacher, student).item() == pytest.approx(sum(alone) / 3, abs=1e-6)


def test_gradient_equals_the_formula_in_float64():
    # d(1 − cos)/db = −(a/|a| − cos·b/|b|) / |b|, averaged over the batch
    (a,), (b,) = feature_maps((2, 4, 3, 3), seed=1), feature_maps((2, 4, 3, 3), seed=2)
    decoded = b.clone().requires_grad_()
    ReverseDistillationLoss()([a], [decoded]).backward()
    assert decoded.grad is not None
    for sample in range(2):
        x, y = a[sample].double().flatten().numpy(), b[sample].double().flatten().numpy()
        unit_x, unit_y = x / np.linalg.norm(x), y / np.linalg.norm(y)
        expected = -(unit_x - (unit_x @ unit_y) * unit_y) / np.linalg.norm(y) / 2
        found = decoded.grad[sample].flatten().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_step_against_the_gradient_lowers_the_loss_by_its_square(kind: LossName):
    loss, (teacher, student) = ReverseDistillationLoss(kind), teacher_and_student()
    student = [x.requires_grad_() for x in student]
    before = loss(teacher, student)
    gradients = torch.autograd.grad(before, student)
    moved = [x - 0.05 * g for x, g in zip(student, gradients, strict=True)]
    expected = 0.05 * sum(g.square().sum().item() for g in gradients)
    drop = slow_loss(kind, teacher, [x.detach() for x in student]) - slow_loss(
        kind, teacher, [x.detach() for x in moved]
    )
    assert drop == pytest.approx(expected, rel=0.05)


def test_features_of_zeros_lose_one_and_have_a_finite_gradient():
    nothing = torch.zeros(1, 2, 2, 2, requires_grad=True)
    (teacher,) = feature_maps((1, 2, 2, 2))
    loss = ReverseDistillationLoss()([teacher], [nothing])
    loss.backward()
    assert loss.item() == 1
    assert nothing.grad is not None and nothing.grad.isfinite().all()


def test_cosine_distance_over_channels_keeps_the_places():
    (a,), (b,) = feature_maps((2, 3, 4, 5), seed=1), feature_maps((2, 3, 4, 5), seed=2)
    expected = 1 - F.cosine_similarity(a, b, dim=1)
    torch.testing.assert_close(cosine_distance(a, b, dim=1), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("teacher", "student"),
    [
        ([(1, 2, 3, 3)], [(1, 2, 3, 4)]),
        ([(1, 2, 3, 3), (1, 2, 2, 2)], [(1, 2, 3, 3)]),
        ([(2, 2, 3, 3)], [(1, 2, 3, 3)]),
        ([], []),
    ],
    ids=["sizes", "numbers of layers", "batches", "no layer"],
)
def test_features_that_do_not_pair_up_are_refused_with_their_shapes(teacher, student):
    with pytest.raises(ValueError, match="of equal shapes; found") as caught:
        ReverseDistillationLoss()(feature_maps(*teacher), feature_maps(*student))
    assert str(teacher) in str(caught.value) and str(student) in str(caught.value)


def slow_weights(kind: str, progress: float, teacher: Tensor, student: Tensor) -> np.ndarray:
    """As the authors' programs say it, in Python's own numbers: (B, H, W)."""
    t, s = teacher.double().numpy(), student.double().numpy()
    count, _, height, width = t.shape
    distances = np.array(
        [
            [
                [1 - cosine(t[n, :, y, x], s[n, :, y, x]) for x in range(width)]
                for y in range(height)
            ]
            for n in range(count)
        ]
    )
    if kind == "hard_mining":
        alpha = min(-3 + (1 - -3) * progress / 0.1, 1)
        return np.where(distances < distances.mean() + alpha * distances.std(ddof=1), 0.0, 1.0)
    left_out = min(0.9 * progress / 0.1, 0.9)
    kept = max(round(distances.size * (1 - left_out)), 1)
    return np.where(distances < np.sort(distances.ravel())[::-1][kept - 1], 0.1, 1.0)


def gradients(kind: LossName, teacher: list[Tensor], student: list[Tensor], progress: float):
    loss = ReverseDistillationLoss(kind)
    if loss.follow is not None:
        loss.follow(progress)
    student = [x.clone().requires_grad_() for x in student]
    value = loss(teacher, student)
    return value.item(), torch.autograd.grad(value, student)


@pytest.mark.parametrize("progress", [0.0, 0.03, 0.07, 0.1, 0.8])
@pytest.mark.parametrize("kind", [*WEIGHTED, "hard_mining_chained", "loose_chained"])
def test_weighted_gradients_are_the_global_ones_times_slow_weights(kind: LossName, progress: float):
    pair = teacher_and_student()
    value, found = gradients(kind, *pair, progress)
    expected_value, whole = gradients("global_cosine", *pair, progress)
    assert value == pytest.approx(expected_value, abs=1e-7)
    for gradient, unweighted, teacher, student in zip(found, whole, *pair, strict=True):
        weights = slow_weights(kind.removesuffix("_chained"), progress, teacher, student)
        expected = unweighted * torch.from_numpy(weights).float().unsqueeze(1)
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("kind", WEIGHTED)
def test_a_weighting_lets_all_through_at_first_and_the_hardest_at_last(kind: LossName):
    (teacher,), (student,) = feature_maps((4, 5, 8, 8), seed=1), feature_maps((4, 5, 8, 8), seed=2)
    weights = ReverseDistillationLoss(kind).weights
    assert weights is not None
    shares = []
    for progress in (0, 0.05, 0.1, 1):
        weights.follow(progress)
        shares.append((weights(teacher, student) == 1).float().mean().item())
    assert shares[0] > 0.99 and shares[0] > shares[1] > shares[2] == shares[3] > 0
    if kind == "loose":
        assert shares[3] == pytest.approx(0.1, abs=1 / 256)


@pytest.mark.parametrize("kind", WEIGHTED)
def test_where_stages_follow_one_another_only_the_chained_form_weighs_what_comes_back(
    kind: LossName,
):
    """Two stages: the gradient of the first's output, put together by hand."""
    torch.manual_seed(0)
    second = torch.nn.Conv2d(3, 3, 3, padding=1)
    (start, *teacher) = feature_maps(*[(2, 3, 5, 5)] * 3, seed=3)
    student = [start, second(start).detach()]
    _, (of_first, of_second) = gradients("global_cosine", teacher, student, 0.5)
    masks = [
        torch.from_numpy(slow_weights(kind, 0.5, t, s)).float().unsqueeze(1)
        for t, s in zip(teacher, student, strict=True)
    ]

    def back(gradient: Tensor) -> Tensor:
        given = start.clone().requires_grad_()
        return torch.autograd.grad(second(given), given, gradient)[0]

    own = masks[0] * of_first + back(masks[1] * of_second)
    chained = masks[0] * (of_first + back(masks[1] * of_second))
    assert not torch.allclose(own, chained)
    for name, expected in ((kind, own), (f"{kind}_chained", chained)):
        loss = ReverseDistillationLoss(cast(LossName, name))
        assert loss.follow is not None
        loss.follow(0.5)
        given = start.clone().requires_grad_()
        first = given * 1  # an output of a stage, not a leaf
        loss(teacher, [first, second(first)]).backward()
        torch.testing.assert_close(given.grad, expected, rtol=1e-4, atol=1e-7)


def test_the_configuration_offers_every_loss():
    offered = {path.stem for path in (CONF_DIR / "loss").glob("*.yaml")}
    assert offered == set(get_args(LossName))


@pytest.mark.parametrize("kind", ["cosine", "global", None])
def test_unknown_loss_is_refused_with_those_that_are_known(kind):
    with pytest.raises(ValueError, match=f"global_cosine, local_cosine, .*; found {kind!r}"):
        ReverseDistillationLoss(kind)


def some_valid(seed: int = 3) -> Tensor:
    """(3, 1, 10, 6), a third of it: of neither layer all places count, nor none of a sample's."""
    valid = torch.rand(3, 1, 10, 6, generator=torch.Generator().manual_seed(seed)) < 0.05
    valid[..., 0, 0] = True
    return valid


def slow_places(valid: Tensor, layer: Tensor) -> np.ndarray:
    """(B, h, w): whether any pixel of a place's cell is valid."""
    of, (rows, columns) = valid[:, 0].numpy(), layer.shape[2:]
    high, wide = of.shape[1] // rows, of.shape[2] // columns
    found = np.zeros((len(of), rows, columns), bool)
    for sample, row, column in np.argwhere(of):
        found[sample, row // high, column // wide] = True
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_ignored_places_have_no_part_in_the_loss(kind: LossName):
    pair, valid = teacher_and_student(), some_valid()
    expected = 0.0
    for encoded, decoded in zip(*pair, strict=True):
        counted = slow_places(valid, encoded)
        assert 0 < counted.sum() < counted.size
        samples = []
        for t, s, places in zip(encoded.numpy(), decoded.numpy(), counted, strict=True):
            columns = t[:, places].T, s[:, places].T  # (places, C)
            if kind == "global_cosine":
                samples.append(1 - cosine(columns[0].ravel(), columns[1].ravel()))
            else:
                samples += [1 - cosine(*one) for one in zip(*columns, strict=True)]
        expected += sum(samples) / len(samples)
    found = ReverseDistillationLoss(kind)(*pair, valid)
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", get_args(LossName))
def test_ignored_places_have_no_gradient_and_change_none(kind: LossName):
    valid = some_valid()

    def gradients(change: float) -> list[Tensor]:
        teacher, student = teacher_and_student()
        places = [torch.from_numpy(slow_places(valid, one))[:, None] for one in teacher]
        for layer, of in zip(student, places, strict=True):
            layer.add_(change * ~of).requires_grad_()
        loss = ReverseDistillationLoss(kind)
        if loss.follow is not None:
            loss.follow(1)
        loss(teacher, student, valid).backward()
        found = [layer.grad for layer in student if layer.grad is not None]
        assert all((one * ~of == 0).all() for one, of in zip(found, places, strict=True))
        return found

    for one, other in zip(gradients(0), gradients(5), strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", get_args(LossName))
def test_where_all_is_valid_the_loss_is_that_of_all(kind: LossName):
    pair = teacher_and_student()
    loss = ReverseDistillationLoss(kind)
    every = torch.ones(3, 1, 10, 6, dtype=torch.bool)
    assert loss(*pair, every).item() == pytest.approx(loss(*pair).item(), abs=1e-6)
