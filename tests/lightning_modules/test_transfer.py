"""Transfer learning and fine-tuning: heads, frozen parts, groups, remembered features."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batches import ImageClassificationBatch
from lightning_modules.transfer.backbones import build_backbone
from lightning_modules.transfer.feature_cache import FeatureCache
from lightning_modules.transfer.module import TransferClassifier
from lightning_modules.transfer.training_plan import plan_training

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def _classifier(**changes: Any) -> TransferClassifier:
    settings: dict[str, Any] = {
        "num_classes": 3,
        "in_channels": 3,
        "backbone": "resnet18",
        "weights": None,
        "weights_dir": "",
        "lr_factors": {"backbone": 0.0, "head": 1.0},
        "unfreeze_epochs": {},
        "cache_features": False,
        "optimizer": SGD,
        "scheduler": None,
        **changes,
    }
    torch.manual_seed(0)
    return TransferClassifier(**settings)


def _batches(num: int = 3) -> list[ImageClassificationBatch]:
    generator = torch.Generator().manual_seed(1)
    return [
        ImageClassificationBatch(torch.randn(4, 3, 32, 32, generator=generator), torch.tensor([0, 1, 2, 0]))
        for _ in range(num)
    ]


def _fit(model: TransferClassifier, *, max_epochs: int = 1, **trainer: Any) -> None:
    pl.Trainer(
        max_epochs=max_epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **trainer,
    ).fit(model, DataLoader(_batches(), batch_size=None), DataLoader(_batches(1), batch_size=None))


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("vgg16", "classifier.6"),
        ("vgg19_bn", "classifier.6"),
        ("alexnet", "classifier.6"),
        ("squeezenet1_0", "classifier.1"),
        ("resnet18", "fc"),
        ("densenet121", "classifier"),
        ("mobilenet_v3_small", "classifier.3"),
        ("efficientnet_b0", "classifier.1"),
        ("convnext_tiny", "classifier.2"),
        ("vit_b_16", "heads.head"),
        ("swin_t", "head"),
        ("googlenet", "fc"),
        ("inception_v3", "fc"),
    ],
)
def test_the_head_is_the_layer_of_classes_as_torchvision_names_it(name: str, head: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name, num_classes=3)
    assert sorted(backbone.head) == [f"{head}.bias", f"{head}.weight"]
    assert dict(backbone.network.named_parameters())[f"{head}.bias"].shape == (3,)


def test_vgg_16_is_ours_with_torchvisions_names() -> None:
    with torch.device("meta"):
        ours = build_backbone("vgg16", num_classes=1000).network
        theirs = torchvision.models.vgg16()
    assert type(ours).__module__ == "lightning_modules.vgg.network"
    assert {n: p.shape for n, p in ours.state_dict().items()} == {n: p.shape for n, p in theirs.state_dict().items()}


def test_a_name_that_torchvision_has_not_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"model.backbone=resnet19 is no classifier of torchvision's; did you mean res"
    ):
        build_backbone("resnet19", num_classes=2)
    with pytest.raises(ValueError, match="ssd300_vgg16 is no classifier"):
        build_backbone("ssd300_vgg16", num_classes=2)


def test_grey_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model.in_channels=1: resnet18 sees colours; set data.in_channels=3"):
        _classifier(in_channels=1)


def test_what_is_frozen_is_the_same_to_the_bit_after_training() -> None:
    model = _classifier()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    _fit(model, max_epochs=2)
    changed = {name for name, tensor in model.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"fc.weight", "fc.bias"}


def test_frozen_batch_norm_stays_in_evaluation_whoever_asks_for_training() -> None:
    model = _classifier(lr_factors={"backbone": 0.0, "layer4": 0.1, "head": 1.0}).train()
    modes = {name: m.training for name, m in model.network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert modes == {name: name.startswith("layer4") for name in modes}
    assert not model.eval().network.layer4.training


def test_without_anything_frozen_everything_trains() -> None:
    model = _classifier(lr_factors={"backbone": 0.1, "head": 1.0})
    assert all(module.training for module in model.modules())
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    _fit(model)
    assert not any(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())


def test_vgg_16_has_the_groups_of_the_book() -> None:
    with torch.device("meta"):
        backbone = build_backbone("vgg16", num_classes=2)
    groups = plan_training(
        [name for name, _ in backbone.network.named_parameters()],
        head=backbone.head,
        lr_factors={"backbone": 0.0, "features": 0.1, "classifier": 0.5, "head": 1.0},
        unfreeze_epochs={},
    )
    assert {name: (len(group.parameters), group.lr_factor) for name, group in groups.items()} == {
        "features": (26, 0.1),
        "classifier": (4, 0.5),
        "head": (2, 1.0),
    }


def test_every_group_has_its_share_of_the_rate_and_its_name_in_the_log() -> None:
    model = _classifier(lr_factors={"backbone": 0.0, "layer4": 0.1, "head": 1.0})
    rates: dict[str, float] = {}

    class Look(pl.Callback):
        def on_train_start(self, trainer: pl.Trainer, *args: Any) -> None:
            rates.update({group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups})

    _fit(model, callbacks=[Look()])
    assert rates == pytest.approx({"layer4": 0.01, "head": 0.1})


NAMES = ["features.0.weight", "features.10.weight", "head.weight", "head.bias"]


@pytest.mark.parametrize(
    ("lr_factors", "unfreeze_epochs", "message"),
    [
        (
            {"backbone": 0.0, "head": 1.0, "layer4": 1.0},
            {},
            "model.lr_factors.layer4: beside its head the network has no such part; it has",
        ),
        (
            {"backbone": 0.0, "head": 1.0, "features.1": 1.0},
            {},
            "model.lr_factors.features.1: beside its head the network has no such part",
        ),
        ({"head": 1.0}, {}, "model.lr_factors has no group for features.0.weight; add a factor for backbone"),
        ({"backbone": -1.0, "head": 1.0}, {}, "model.lr_factors.backbone=-1.0: choose 0"),
        ({"backbone": 0.0, "head": 0.0}, {}, "model.lr_factors are all 0, so that nothing is trained"),
        ({"backbone": 0.0, "head": 1.0}, {"backbone": 2}, "model.unfreeze_epochs.backbone=2: it takes an epoch from 0"),
        ({"backbone": 1.0, "head": 1.0}, {"nothing": 2}, "model.unfreeze_epochs.nothing=2: it takes an epoch from 0"),
    ],
)
def test_a_plan_that_cannot_take_effect_is_refused(lr_factors, unfreeze_epochs, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_training(NAMES, head=NAMES[2:], lr_factors=lr_factors, unfreeze_epochs=unfreeze_epochs)


def test_a_group_that_waits_is_moved_from_its_epoch_on() -> None:
    model = _classifier(lr_factors={"backbone": 0.1, "head": 1.0}, unfreeze_epochs={"backbone": 2})
    seen: list[tuple[Tensor, Tensor]] = []

    class Look(pl.Callback):
        def on_train_epoch_end(self, *args: Any) -> None:
            seen.append((model.network.conv1.weight.detach().clone(), model.network.bn1.running_mean.clone()))

    _fit(model, max_epochs=3, callbacks=[Look()])
    for first, second, third in zip(*seen, strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(second, third)


# ResNet ends in a layer, SqueezeNet in a map, VGG in layers with dropout, ViT in a head of its own.
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "squeezenet1_1",
        "shufflenet_v2_x0_5",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("vgg11", "vit_b_32")),
    ],
)
def test_remembered_features_give_the_networks_own_scores(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, num_classes=3)
    backbone.network.eval()
    cache = FeatureCache(backbone.network, backbone.top)
    side = 224 if name.startswith("vit") else 64
    image = torch.randn(3, 3, side, side)
    with torch.no_grad():
        expected = backbone.network(image)
        for _ in range(2):
            torch.testing.assert_close(cache.scores(image), expected, atol=1e-5, rtol=1e-4)
    assert len(cache.features) == 3


def test_training_on_remembered_features_is_training_without() -> None:
    plain, cached = _classifier(), _classifier(cache_features=True)
    for model in (plain, cached):
        _fit(model, max_epochs=3)
    torch.testing.assert_close(cached.network.fc.weight, plain.network.fc.weight, atol=1e-5, rtol=1e-4)
    assert cached.cache is not None
    # Twelve of training and four of validation, each computed once.
    assert len(cached.cache.features) == 12


def test_features_do_not_depend_on_the_batch_that_an_image_first_came_in() -> None:
    model = _classifier(cache_features=True)
    image = _batches(1)[0].image
    assert model.cache is not None
    together = model.cache.scores(image)
    model.cache.features.clear()
    one_by_one = [model.cache._features_of(image[row : row + 1]) for row in (2, 0, 3, 1)]
    assert torch.equal(model.cache.scores(image), together)
    assert len(one_by_one) == len(model.cache.features) == 4


def test_remembering_draws_no_random_numbers() -> None:
    model = _classifier(backbone="squeezenet1_1", cache_features=True).train()
    assert model.cache is not None
    assert model.cache.top[0].training, "a dropout"
    state = torch.get_rng_state()
    model.cache._features_of(torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), state)


def test_features_that_change_cannot_be_remembered() -> None:
    with pytest.raises(ValueError, match=r"model.cache_features: conv1.weight is trained, so that features change"):
        _classifier(lr_factors={"backbone": 0.1, "head": 1.0}, cache_features=True)
    with pytest.raises(ValueError, match=r"model.cache_features: dropout drops features at random before fc"):
        _classifier(backbone="googlenet", cache_features=True)


def test_remembering_images_that_never_come_again_is_refused() -> None:
    class Changing(torch.utils.data.Dataset[ImageClassificationBatch]):
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> ImageClassificationBatch:
            return ImageClassificationBatch(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))

    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"model.cache_features: no image came twice in two epochs; show images as"):
        trainer.fit(_classifier(cache_features=True), DataLoader(Changing(), batch_size=None))


def test_the_constructor_asks_for_no_weights() -> None:
    model = _classifier(weights="nowhere.pth")
    with pytest.raises(FileNotFoundError, match=r"there are no weights nowhere\.pth"):
        model.load_pretrained_weights()
