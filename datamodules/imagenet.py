"""ImageNet's 1,000 classes (https://arxiv.org/abs/1409.0575), from one folder for each in `train/` and `val/`."""

from torchvision.models import VGG16_Weights

from datamodules.image_folder import ImageFolderDataModule


class ImageNetDataModule(ImageFolderDataModule):
    """The classes in words; their folders are named by WordNet (`n01440764` holds tenches), in the same order."""

    @property
    def class_names(self) -> list[str]:
        names: list[str] = VGG16_Weights.IMAGENET1K_V1.meta["categories"]
        return names
