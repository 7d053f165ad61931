"""SSD as a detector of objects: training, evaluation, prediction."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from datamodules.batches import DetectionBatch, SizedImageBatch
from lightning_modules.box_pictures import DetectedObject, draw_boxes
from lightning_modules.components import arguments_of
from lightning_modules.optimization import build_optimization
from lightning_modules.pretrained import LoadingReport, imagenet_weights, read_weights
from lightning_modules.split_metrics import SPLITS, MeanLoss
from lightning_modules.split_steps import SplitSteps
from lightning_modules.ssd import backbones
from lightning_modules.ssd.average_precision import DetectionScores
from lightning_modules.ssd.detections import Detections, detect
from lightning_modules.ssd.multibox_loss import MultiBoxLoss
from lightning_modules.ssd.network import SSD
from lightning_modules.ssd.published_weights import load_published_weights_

_TERMS = ("loss", "localization_loss", "classification_loss")


class SSDDetector(SplitSteps):
    """SSD with its MultiBox loss (https://arxiv.org/abs/1512.02325); logs losses, and VOC's and COCO's mean precision.

    Args:
        num_classes: of objects, without the background.
        image_size: side in pixels of the images that are trained on.
        backbone: a class of `lightning_modules.ssd.backbones` and its arguments.
        default_boxes: see `make_default_boxes`.
        loss: see `MultiBoxLoss`.
        detection: see `detect`.
        drawn_score: detections below this are not drawn.
        weights: `imagenet` for torchvision's VGG-16, a file with its state dict or an SSD's, or None for initial ones.
            They are loaded by `load_pretrained_weights` only.
        weights_dir: where a file of ImageNet weights is looked for before it is downloaded.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        image_size: int,
        backbone: dict[str, Any],
        default_boxes: dict[str, Any],
        loss: dict[str, Any],
        detection: dict[str, Any],
        drawn_score: float,
        weights: str | None,
        weights_dir: str,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.detection = detection
        self.drawn_score = drawn_score
        self.weights = weights
        self.weights_dir = Path(weights_dir)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network = SSD(build_backbone(backbone), num_classes=num_classes, image_size=image_size, **default_boxes)
        self.loss = MultiBoxLoss(**loss)
        self.losses = nn.ModuleDict({f"{split}_{term}": MeanLoss() for split in SPLITS for term in _TERMS})
        for term in _TERMS:
            # A run that goes on within an epoch goes on with the epoch's mean.
            self._loss_of("train", term).persistent(mode=True)
        self.scores = nn.ModuleDict({split: DetectionScores(num_classes=num_classes) for split in ("val", "test")})

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B A 4"], Float[Tensor, "B A K"]]:
        outputs: tuple[Tensor, Tensor] = self.network(image)
        return outputs

    def _step(self, batch: DetectionBatch, split: str) -> Tensor:
        offsets, logits = self(batch.image)
        terms = self.loss(
            offsets,
            logits,
            self.network.default_boxes_cxcywh,
            self.network.default_boxes_xyxy,
            boxes_xyxy=[boxes / self.network.image_size for boxes in batch.boxes_xyxy],
            label=batch.label,
        )
        loss: Tensor = terms.localization + terms.classification
        for term, value in zip(_TERMS, (loss, *terms), strict=True):
            self._loss_of(split, term).update(value.detach(), num_samples=len(batch.image))
        if split != "train":
            self._scores_of(split).update(self._detect(offsets, logits), batch)
        return loss

    def predict_step(self, batch: SizedImageBatch, batch_idx: int) -> list[list[DetectedObject]]:
        """For each file its objects, the surest first, in the file's own pixels."""
        found = self._detect(*self(batch.image))
        sides = batch.file_height_width.flip(1).repeat(1, 2)
        return [
            [
                DetectedObject(label=label, score=score, box_xyxy=box)
                for label, score, box in zip(
                    detections.label.tolist(),
                    detections.score.tolist(),
                    (detections.boxes_xyxy * in_file).tolist(),
                    strict=True,
                )
            ]
            for detections, in_file in zip(found, sides, strict=True)
        ]

    def draw(self, file: Path, prediction: list[DetectedObject], class_names: list[str]) -> Image.Image:
        """The user's picture with boxes, classes and scores."""
        return draw_boxes(file, prediction, class_names, least_score=self.drawn_score)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            self.parameters(),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )

    def load_pretrained_weights(self) -> LoadingReport | None:
        """Load the weights that were asked for into what they fit.

        Raises:
            FileNotFoundError: there is no such file, or no network.
            ValueError: the weights are damaged or another architecture's.
        """
        if self.weights is None:
            return None
        if self.weights == "imagenet":
            weights = imagenet_weights("vgg16", folder=self.weights_dir)
        else:
            weights = read_weights(Path(self.weights))
        return load_published_weights_(self.network, weights)

    @torch.no_grad()
    def _detect(self, offsets: Tensor, logits: Tensor) -> list[Detections]:
        return detect(offsets, logits, self.network.default_boxes_cxcywh, **self.detection)

    def _log_epoch(self, split: str) -> None:
        for term in _TERMS:
            mean = self._loss_of(split, term)
            self.log(f"{split}/{term}", mean.compute())
            mean.reset()
        if split != "train":
            scores = self._scores_of(split)
            self.log_dict({f"{split}/{name}": value for name, value in scores.compute().items()})
            scores.reset()

    def _loss_of(self, split: str, term: str) -> MeanLoss:
        mean = self.losses[f"{split}_{term}"]
        assert isinstance(mean, MeanLoss)
        return mean

    def _scores_of(self, split: str) -> DetectionScores:
        scores = self.scores[split]
        assert isinstance(scores, DetectionScores)
        return scores


def build_backbone(component: dict[str, Any]) -> nn.Module:
    """The backbone that a plain dict names.

    Raises:
        ValueError: its `_target_` is no class of `lightning_modules.ssd.backbones`.
    """
    package, _, name = str(component.get("_target_")).rpartition(".")
    kind = getattr(backbones, name, None) if package == backbones.__name__ else None
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(
            f"model.backbone._target_={component.get('_target_')} is not a class of {backbones.__name__}; choose"
            " VGG16Features, ResNetFeatures or SmallFeatures there"
        )
    return kind(**arguments_of(component))
