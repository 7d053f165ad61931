"""PSPNet as a segmenter of images: training, evaluation, prediction."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from datamodules.batches import VOID, SegmentationBatch, SizedImageBatch
from lightning_modules.optimization import build_optimization
from lightning_modules.pspnet.backbone import Stem, load_weights_
from lightning_modules.pspnet.inference import most_probable, multi_scale_probability
from lightning_modules.pspnet.losses import build_loss
from lightning_modules.pspnet.mask_pictures import PredictedMask, describe_mask, draw_mask, resize_mask, without_filling
from lightning_modules.pspnet.network import PSPNet, SegmentationLogits
from lightning_modules.split_metrics import SplitMetrics
from lightning_modules.split_steps import SplitSteps


class PSPNetSegmenter(SplitSteps):
    """PSPNet with an auxiliary loss (https://arxiv.org/abs/1612.01105, section 4).

    Logs for every split the main branch's loss, the mean IoU over the classes that occur in its masks or predictions,
    and the part of its pixels that are right; void pixels count nowhere.

    Args:
        num_classes, blocks, stem, width, bins, dropout: see `PSPNet` and `DilatedResNet`.
        backbone_weights: see `load_weights_`; null starts at random. Loaded by `load_pretrained_weights` only.
        loss: `{"_target_": "lightning_modules.pspnet.losses.CrossEntropy"}`, or another class of that file.
        auxiliary_weight: of the auxiliary branch's loss in training; the paper's is 0.4.
        head_rate_factor: the learning rate of all but the backbone, as a multiple of the optimiser's; the authors' code
            has 10.
        test_scales, test_mirror, test_window: of test and prediction, see `multi_scale_probability`.
        optimizer, scheduler: see `build_optimization`.

    Raises:
        ValueError: there are no test scales, or one is not above 0.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        blocks: list[int],
        stem: Stem,
        width: float,
        bins: list[int],
        dropout: float,
        backbone_weights: str | None,
        loss: dict[str, Any],
        auxiliary_weight: float,
        head_rate_factor: float,
        test_scales: list[float],
        test_mirror: bool,
        test_window: int | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        if not test_scales or min(test_scales) <= 0:
            raise ValueError(f"model.test_scales={test_scales}: give factors above 0, [1.0] for the image as it is")
        self.save_hyperparameters()
        self.backbone_weights = backbone_weights
        self.auxiliary_weight = auxiliary_weight
        self.head_rate_factor = head_rate_factor
        self.test_scales = test_scales
        self.test_mirror = test_mirror
        self.test_window = test_window
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network = PSPNet(
            num_classes=num_classes, blocks=blocks, stem=stem, width=width, bins=bins, dropout=dropout
        )
        self.loss = build_loss(loss)
        scores: dict[str, Metric | MetricCollection] = {
            "miou": MulticlassJaccardIndex(num_classes, ignore_index=VOID, validate_args=False),
            "pixel_accuracy": MulticlassAccuracy(num_classes, average="micro", ignore_index=VOID, validate_args=False),
        }
        self.metrics = SplitMetrics(MetricCollection(scores))

    def load_pretrained_weights(self) -> str | None:
        """Load the backbone's weights at the start of a run; one that goes on, or is restored, has its own.

        Raises:
            FileNotFoundError, ValueError: see `load_weights_`.
        """
        if self.backbone_weights is None:
            return None
        load_weights_(self.network.backbone, self.backbone_weights)
        return f"{self.backbone_weights}: all of the backbone loaded; as initialised: the pyramid and both heads"

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K H W"]:
        logits: SegmentationLogits = self.network(image)
        return logits.main

    def _step(self, batch: SegmentationBatch, split: str) -> Tensor:
        image, mask = batch
        logits = self._test_logits(image) if split == "test" else self.network(image)
        main_loss: Tensor = self.loss(logits.main, mask)
        self.metrics.update(split, most_probable(logits.main), mask, loss=main_loss)
        if logits.auxiliary is None:
            return main_loss
        auxiliary_loss: Tensor = self.loss(logits.auxiliary, mask)
        return main_loss + self.auxiliary_weight * auxiliary_loss

    def _log_epoch(self, split: str) -> None:
        self.metrics.log_epoch(self, split)

    def predict_step(self, batch: SizedImageBatch, batch_idx: int) -> list[PredictedMask]:
        """For each image the class of every pixel of its file."""
        masks = most_probable(self._test_logits(batch.image).main)
        return [
            describe_mask(resize_mask(without_filling(mask, height, width), height=height, width=width))
            for mask, (height, width) in zip(masks, batch.file_height_width.tolist(), strict=True)
        ]

    def draw(self, file: Path, prediction: PredictedMask, class_names: list[str]) -> Image.Image:
        """The user's image, tinted by class, with a legend beside it."""
        return draw_mask(file, prediction, class_names)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if "lr" not in self.optimizer:
            raise ValueError("model.optimizer has no lr, which head_rate_factor is a multiple of; add optim.lr=<rate>")
        rate = self.optimizer["lr"]
        backbone = list(self.network.backbone.parameters())
        in_backbone = {id(parameter) for parameter in backbone}
        head = [parameter for parameter in self.network.parameters() if id(parameter) not in in_backbone]
        return build_optimization(
            [
                {"name": "backbone", "params": backbone, "lr": rate},
                {"name": "head", "params": head, "lr": rate * self.head_rate_factor},
            ],
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )

    def _test_logits(self, image: Tensor) -> SegmentationLogits:
        """As the test options have it: the logarithm of probabilities is logits that lead to them."""
        probability = multi_scale_probability(
            self, image, scales=self.test_scales, mirror=self.test_mirror, window=self.test_window
        )
        return SegmentationLogits(probability.clamp(min=torch.finfo(probability.dtype).tiny).log(), None)
