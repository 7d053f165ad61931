"""A pretrained classifier for other classes: by a new head alone, or by tuning the rest too."""

from pathlib import Path
from typing import Any

from jaxtyping import Float
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer

from lightning_modules.image_classifier import ImageClassifier
from lightning_modules.optimization import build_optimization
from lightning_modules.pretrained import LoadingReport, imagenet_weights, load_weights_, read_weights
from lightning_modules.transfer.backbones import build_backbone
from lightning_modules.transfer.feature_cache import FeatureCache
from lightning_modules.transfer.training_plan import evaluate_frozen_modules_, frozen_at, plan_training


class TransferClassifier(ImageClassifier):
    """Our VGG or any classifier of torchvision with a new head, trained as far as `lr_factors` say.

    Args:
        num_classes: of the new head.
        in_channels: 3: the weights are those of colour images.
        backbone: vgg16, squeezenet1_0, resnet18, ...: a name of torchvision's.
        weights: `imagenet`, a state dict's or checkpoint's file, or None for initial ones. They are loaded by
            `load_pretrained_weights` only.
        weights_dir: where files of ImageNet weights are looked for before they are downloaded.
        lr_factors, unfreeze_epochs: see `plan_training`.
        cache_features: remember what the frozen backbone makes of each image; asks for data without augmentation.
        optimizer, scheduler: see `build_optimization`.

    Raises:
        ValueError: the name, the factors or epochs make no sense, or features that change are to be remembered.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        backbone: str,
        weights: str | None,
        weights_dir: str,
        lr_factors: dict[str, float],
        unfreeze_epochs: dict[str, int],
        cache_features: bool,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes)
        self.save_hyperparameters()
        if in_channels != 3:
            raise ValueError(f"model.in_channels={in_channels}: {backbone} sees colours; set data.in_channels=3")
        self.backbone = backbone
        self.weights = weights
        self.weights_dir = Path(weights_dir)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network, self.head, top = build_backbone(backbone, num_classes=num_classes)
        parameters = dict(self.network.named_parameters())
        self.groups = plan_training(
            list(parameters), head=self.head, lr_factors=lr_factors, unfreeze_epochs=unfreeze_epochs
        )
        for group in self.groups.values():
            for name in group.parameters:
                parameters[name].requires_grad_(group.lr_factor > 0)
        self.train()
        self.num_epochs_begun = 0
        self.cache: FeatureCache | None = None
        if cache_features:
            if changing := [n for n, p in parameters.items() if p.requires_grad and n.split(".")[0] != top]:
                raise ValueError(
                    f"model.cache_features: {changing[0]} is trained, so that features change; set"
                    f" model.lr_factors to 0 for all but {top}, or model.cache_features=false"
                )
            self.cache = FeatureCache(self.network, top)

    def load_pretrained_weights(self) -> LoadingReport | None:
        """Load all but a head for other classes; what was loaded.

        Raises:
            FileNotFoundError: there is no such file, or no download.
            ValueError: the weights are damaged or another architecture's.
        """
        if self.weights is None:
            return None
        if self.weights == "imagenet":
            weights = imagenet_weights(self.backbone, folder=self.weights_dir)
        else:
            weights = read_weights(Path(self.weights))
        return load_weights_(self.network, weights, new=self.head)

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return super().forward(image) if self.cache is None else self.cache.scores(image)

    def train(self, mode: bool = True) -> "TransferClassifier":  # noqa: FBT001, FBT002 - torch's signature
        """What is frozen stays in evaluation mode, whoever asks for training."""
        super().train(mode)
        evaluate_frozen_modules_(self.network, self._frozen())
        return self

    def on_train_start(self) -> None:
        # A run that goes on within an epoch gets no start of that epoch.
        self.train()

    def on_train_epoch_start(self) -> None:
        self.num_epochs_begun += 1
        self.train()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Groups that wait for their epoch are not moved.

        They keep their gradients until here because processes that train together exchange those of all parameters.
        """
        parameters = dict(self.network.named_parameters())
        for name in self._frozen():
            parameters[name].grad = None

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        if self.cache is not None and self.cache.num_hits == 0 and self.num_epochs_begun > 1:
            raise ValueError(
                "model.cache_features: no image came twice in two epochs; show images as they are (data.min_crop_area=1"
                " data.flip_probability=0 data.color_jitter=0), or set model.cache_features=false"
            )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        parameters = dict(self.network.named_parameters())
        groups: list[dict[str, Any]] = [
            {
                "params": [parameters[name] for name in group.parameters],
                "lr": self.optimizer["lr"] * group.lr_factor,
                "name": name,
            }
            for name, group in self.groups.items()
            if group.lr_factor > 0
        ]
        return build_optimization(
            groups,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )

    def _frozen(self) -> set[str]:
        return frozen_at(self.current_epoch, self.groups)
