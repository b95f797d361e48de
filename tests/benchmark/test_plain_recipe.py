"""The benchmark's plain program gives the numbers of ours: a second, independent implementation."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision_network import second_network

from rdad.benchmark.plain_recipe import (
    BETAS,
    PlainRecipe,
    plain_aupro,
    plain_auroc,
    plain_figures,
    plain_loss,
)
from rdad.data.batches import EpochShuffle
from rdad.data.datamodule import AnomalyDataModule
from rdad.data.samples import Sample, Samples
from rdad.metrics import aupro_per_image, auroc
from rdad.model.lightning_model import ReverseDistillation

SIZE = (64, 96)
LR = 0.001  # smaller steps than the recipe's: rounding grows less
BACKBONES = ["resnet18", "resnet50", "efficientnet_lite0"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def built(backbone: str) -> ReverseDistillation:
    torch.manual_seed(7)
    layers = ["layer1", "layer2", "layer3"]
    return ReverseDistillation(SIZE, backbone, layers, "add", LR, 0.5, 0.999, weights=None)


def second(module: ReverseDistillation, backbone: str) -> PlainRecipe:
    """The plain program around a network that shares none of our code."""
    plain = PlainRecipe(module.model, backbone)
    plain.bottleneck, plain.decoder = second_network(module.model)
    trained = [*plain.decoder.parameters(), *plain.bottleneck.parameters()]
    plain.optimizer = torch.optim.Adam(trained, lr=LR, betas=BETAS)
    return plain


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AnomalyDataModule:
    """Ten training images and four test images, two of them with a bright square."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    samples = [drawn(folder, random, f"{index:03}", index >= 12) for index in range(14)]
    module = AnomalyDataModule(
        lambda: Samples(tuple(samples[:10]), tuple(samples[10:])),
        name="squares",
        category="squares",
        image_size=SIZE,
        batch_size=4,
        seed=3,
        cache_dir=folder / "cache",
    )
    module.prepare()
    return module


def drawn(folder: Path, random: np.random.Generator, name: str, defective: bool) -> Sample:
    pixels = random.integers(0, 200, (80, 120, 3), np.uint8)
    mask_file = None
    if defective:
        mask = np.zeros((80, 120), np.uint8)
        mask[20:50, 30:70] = 255
        pixels[mask > 0] = 255
        mask_file = folder / f"{name}_mask.png"
        Image.fromarray(mask).save(mask_file)
    Image.fromarray(pixels).save(folder / f"{name}.png")
    kind = "square" if defective else "good"
    return Sample(folder / f"{name}.png", int(defective), kind, mask_file, name)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("program", [second, lambda module, name: PlainRecipe(module.model, name)])
def test_same_weights_give_the_same_features_loss_and_maps(
    program: Callable[[ReverseDistillation, str], PlainRecipe], backbone: str
) -> None:
    module = built(backbone)
    plain = program(module, backbone)
    images = noise(2, 3, *SIZE)
    module.model.train()
    teacher, student = module.model(images)
    plain_teacher = plain.encoder(images)
    plain_student = plain.decoder(plain.bottleneck(plain_teacher))
    for a, b in zip((*teacher, *student), (*plain_teacher, *plain_student), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(a.detach().abs().max()))
    loss = module.loss(teacher, student)
    torch.testing.assert_close(plain_loss(plain_teacher, plain_student), loss, rtol=0, atol=1e-5)
    module.model.eval()
    plain.bottleneck.eval()
    plain.decoder.eval()
    ours = module.model(images)[:, 0].detach().numpy()
    for index in range(2):
        theirs = plain.anomaly_map(images[index : index + 1])
        np.testing.assert_allclose(theirs, ours[index], rtol=0, atol=1e-5)


def test_its_encoder_takes_gradients_and_ours_does_not() -> None:
    module = built("resnet18")
    plain = PlainRecipe(module.model, "resnet18")
    plain.train_step(noise(2, 3, *SIZE))
    assert plain.encoder.network.conv1.weight.grad.abs().max() > 0
    assert plain.encoder.network.layer4[0].conv1.weight.grad is None
    assert all(parameter.grad is None for parameter in module.model.encoder.parameters())


def test_its_images_are_ours_to_rounding(data: AnomalyDataModule) -> None:
    module = built("resnet18")
    images = PlainRecipe(module.model, "resnet18").images(data.test_samples)
    batch = next(iter(data.test_dataloader()))
    ours = module.model.encoder.normalise(batch["images"])
    for index in range(len(images)):
        image, mask, label = images[index]
        torch.testing.assert_close(image, ours[index], rtol=0, atol=1e-6)
        assert torch.equal(mask, batch["masks"][index, 0])
        assert label == batch["labels"][index]


def test_a_step_gives_the_gradients_of_ours() -> None:
    module = built("resnet18")
    plain = second(module, "resnet18")
    images = noise(4, 3, *SIZE)
    module.training_step({"images": images}).backward()
    plain.train_step(images)
    ours, theirs = (
        [p.grad for part in parts for p in part.parameters() if p.grad is not None]
        for parts in (
            (module.model.bottleneck, module.model.decoder),
            (plain.bottleneck, plain.decoder),
        )
    )
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).norm() < 0.02 * a.norm()  # some ReLUs stand at 0, where rounding decides


def test_a_training_gives_the_losses_of_ours_step_by_step(data: AnomalyDataModule) -> None:
    """Two epochs of three steps, in the same order.

    Adam's first steps are as large for gradients of rounding's size as for others, so rounding
    grows: from 0 at the first step to some 1e-3 at the sixth, while the loss falls by 0.5.
    """
    module = built("resnet18")
    plain = second(module, "resnet18")
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    known = ("lr", "betas", "eps", "weight_decay")
    assert all(optimizer.defaults[name] == plain.optimizer.defaults[name] for name in known)
    ours = []
    for batch in [batch for _ in range(2) for batch in data.train_dataloader()]:
        optimizer.zero_grad()
        loss = module.training_step(batch)
        loss.backward()
        optimizer.step()
        ours.append(loss.item())
    images = plain.images(data.train_samples)
    batches = DataLoader(images, batch_size=4, sampler=EpochShuffle(10, seed=3))
    theirs = [plain.train_step(batch) for _ in range(2) for batch, _, _ in batches]
    np.testing.assert_allclose(theirs[0], ours[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(theirs[:3], ours[:3], rtol=0, atol=2e-3)
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=2e-2)
    assert theirs[-1] < theirs[0] - 0.3


def test_its_evaluation_gives_our_figures(data: AnomalyDataModule) -> None:
    from rdad.metrics import AnomalyMetrics
    from rdad.results.evaluation import evaluate

    module = built("resnet18")
    plain = PlainRecipe(module.model, "resnet18")
    theirs = plain.evaluate(data.test_samples)
    ours = evaluate(module.model, data, AnomalyMetrics(aupro="per_image"))
    for name, value in theirs.items():
        assert value == pytest.approx(ours[name], abs=2e-4), name


def test_its_figures_of_given_maps_are_ours() -> None:
    random = np.random.default_rng(5)
    maps = random.random((6, 40, 50)).astype(np.float32).round(2)
    masks = np.zeros(maps.shape, bool)
    masks[3:, 5:20, 8:30] = True
    masks[4, 30:35, 40:45] = True
    labels = [0, 0, 0, 1, 1, 1]
    maps[masks] += 0.3
    figures = plain_figures(zip(maps, masks, labels, strict=True))
    assert figures["pixel_auroc"] == pytest.approx(auroc(maps, masks), abs=1e-12)
    assert figures["image_auroc"] == pytest.approx(auroc(maps.max((1, 2)), labels), abs=1e-12)
    assert figures["aupro"] == pytest.approx(aupro_per_image(maps, masks), abs=1e-6)


def test_auroc_counts_ties_by_half_and_is_nan_with_one_class() -> None:
    assert plain_auroc([1, 2, 2, 3], [0, 0, 1, 1]) == pytest.approx(0.875)
    assert np.isnan(plain_auroc([1, 2], [1, 1]))


def test_aupro_is_nearly_one_where_the_map_is_the_mask_and_a_ramp() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    ramp = np.linspace(0, 0.5, mask.size, dtype=np.float32).reshape(mask.shape)
    assert plain_aupro(np.where(mask, 1, ramp).astype(np.float32), mask) == pytest.approx(1.0)
