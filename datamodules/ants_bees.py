"""Ants and bees: 244 training and 153 validation photographs, a small part of ImageNet used in PyTorch's tutorial."""

import shutil
import tempfile
from pathlib import Path
from urllib.error import URLError

import torch
from torchvision.datasets.utils import extract_archive

from datamodules.image_folder import ImageFolderDataModule

URL = "https://download.pytorch.org/tutorial/hymenoptera_data.zip"
# As PyTorch's own tutorials check it (pytorch/tutorials, .jenkins/download_data.py).
SHA256 = "fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209"


class AntsBeesDataModule(ImageFolderDataModule):
    """The set as it is published: `train/` and `val/` with a folder for each class.

    It has no test images, so that tests are on the validation images, by which the best epoch was chosen too.
    """

    def prepare_data(self) -> None:
        """Download the set where it is missing.

        Raises:
            FileNotFoundError: there is no folder and no network.
        """
        if self.folder.is_dir():
            return
        with tempfile.TemporaryDirectory() as name:
            archive = Path(name) / "hymenoptera_data.zip"
            try:
                torch.hub.download_url_to_file(URL, str(archive), hash_prefix=SHA256, progress=False)
            except (RuntimeError, URLError, OSError) as error:
                raise FileNotFoundError(
                    f"no {self.folder} and no download ({str(error).splitlines()[0]}); unpack {URL} there, or set"
                    " FIRSTHAND_DATA to the folder that holds hymenoptera/hymenoptera_data/"
                ) from error
            extract_archive(str(archive), name)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(name) / "hymenoptera_data", self.folder)
