"""OpenPose: training, evaluation, prediction."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from datamodules.batches import KeypointBatch, SizedImageBatch
from lightning_modules.components import arguments_of
from lightning_modules.openpose.decoding import Pose, Thresholds, decode_poses
from lightning_modules.openpose.network import OpenPose2017, OpenPose2019, StageMaps
from lightning_modules.openpose.pictures import FoundPerson, draw_people, person_of_pose
from lightning_modules.openpose.released_weights import load_weights_
from lightning_modules.openpose.scores import People, PoseScores
from lightning_modules.openpose.skeleton import joints_of_keypoints
from lightning_modules.openpose.targets import TargetMaps, draw_targets
from lightning_modules.optimization import build_optimization
from lightning_modules.split_metrics import MeanLoss
from lightning_modules.split_steps import SplitSteps


class OpenPose(SplitSteps):
    """People's joints by maps and part affinity fields (https://arxiv.org/abs/1611.08050).

    Logs the loss of every split, and COCO's OKS AP and PCK of validation and test.

    Args:
        network: `{"_target_": "lightning_modules.openpose.network.OpenPose2017", ...}`, or `OpenPose2019`.
        weights: file of the authors' weights or of torchvision's VGG-19, for `OpenPose2017` at its full size; read by
            `load_pretrained_weights` only.
        sigma: of a joint's Gaussian in the target maps, in pixels.
        limb_width: how far a limb's field reaches to either side of its line, in pixels.
        peak_threshold, field_threshold, min_joints, min_score: see `Thresholds`.
        optimizer, scheduler: see `build_optimization`.

    Raises:
        ValueError: the network is none of the two, or limbs are thinner than its cells.
    """

    def __init__(
        self,
        *,
        network: dict[str, Any],
        weights: str | None,
        sigma: float,
        limb_width: float,
        peak_threshold: float,
        field_threshold: float,
        min_joints: int,
        min_score: float,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.weights = weights
        self.sigma = sigma
        self.limb_width = limb_width
        self.thresholds = Thresholds(peak_threshold, field_threshold, min_joints, min_score)
        self.network = build_network(network)
        if limb_width < self.network.stride:
            raise ValueError(
                f"model.limb_width={limb_width} is less than a cell of the maps ({self.network.stride} pixels): limbs"
                " would have gaps, and no one could be put together; raise it"
            )
        self.train_loss, self.val_loss, self.test_loss = MeanLoss(), MeanLoss(), MeanLoss()
        # A run that goes on within an epoch goes on with the epoch's loss.
        self.train_loss.persistent(mode=True)
        self.val_scores, self.test_scores = PoseScores(), PoseScores()

    def load_pretrained_weights(self) -> str | None:
        """Load the weights that a new run starts from; what was loaded.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds other weights, or they do not fit the network.
        """
        return None if self.weights is None else load_weights_(self.network, Path(self.weights))

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 57 h w"]:
        """The last stage's fields, then its heatmaps."""
        maps: StageMaps = self.network(image)
        return torch.cat([maps.fields[-1], maps.heatmaps[-1]], dim=1)

    def _step(self, batch: KeypointBatch, split: str) -> Tensor:
        maps: StageMaps = self.network(batch.image)
        targets = draw_targets(
            joints_of_keypoints(batch.keypoints),
            batch.is_ignored,
            stride=self.network.stride,
            sigma=self.sigma,
            limb_width=self.limb_width,
        )
        loss = masked_squared_error(maps, targets)
        getattr(self, f"{split}_loss").update(loss.detach(), num_samples=len(batch.image))
        if split != "train":
            people = People(batch.keypoints, batch.box_xyxy, batch.area, batch.is_crowd, batch.image_id)
            getattr(self, f"{split}_scores").update(self.poses(maps), people)
        return loss

    def _log_epoch(self, split: str) -> None:
        loss = getattr(self, f"{split}_loss")
        self.log(f"{split}/loss", loss.compute())
        loss.reset()
        if split != "train":
            scores = getattr(self, f"{split}_scores")
            self.log_dict({f"{split}/{name}": value for name, value in scores.compute().items()})
            scores.reset()

    def poses(self, maps: StageMaps) -> list[list[Pose]]:
        """People of every image of a batch, by the last stage."""
        fields, heatmaps = (stages[-1].float().cpu().numpy() for stages in maps)
        return [
            decode_poses(*image_maps, stride=self.network.stride, thresholds=self.thresholds)
            for image_maps in zip(fields, heatmaps, strict=True)
        ]

    def predict_step(self, batch: SizedImageBatch, batch_idx: int) -> list[list[FoundPerson]]:
        """For each file its people."""
        scales = (batch.image.shape[-1] / batch.file_height_width.amax(dim=1)).tolist()
        return [
            [person_of_pose(pose, scale=scale) for pose in poses]
            for poses, scale in zip(self.poses(self.network(batch.image)), scales, strict=True)
        ]

    def draw(self, file: Path, prediction: list[FoundPerson], class_names: list[str]) -> Image.Image:
        """The user's photograph with a skeleton over each person."""
        return draw_people(file, prediction)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            self.parameters(),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )


def masked_squared_error(maps: StageMaps, targets: TargetMaps) -> Float[Tensor, ""]:
    """Squared error of all stages, half its sum over cells and channels, the mean over images (equation 5).

    The half is that of the authors' code, whose learning rate it fits.
    """
    total = torch.zeros((), device=targets.weight.device)
    for stages, target in ((maps.fields, targets.fields), (maps.heatmaps, targets.heatmaps)):
        for stage in stages:
            total = total + (targets.weight * (stage.float() - target) ** 2).sum()
    return total / (2 * len(targets.weight))


def build_network(network: dict[str, Any]) -> OpenPose2017 | OpenPose2019:
    """The network that a plain dict describes.

    Raises:
        ValueError: its `_target_` is neither of the two.
    """
    kinds = {f"{kind.__module__}.{kind.__name__}": kind for kind in (OpenPose2017, OpenPose2019)}
    target = network.get("_target_")
    if target not in kinds:
        raise ValueError(f"model.network._target_={target} is no network of OpenPose; choose {' or '.join(kinds)}")
    return kinds[target](**arguments_of(network))
