"""FID by Inception equals torchmetrics', from a file of weights. They are random here: the real ones are 91 MB."""

from pathlib import Path

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import FrechetInceptionDistance

from lightning_modules.adversarial.inception import Inception, InceptionFile
from lightning_modules.adversarial.judge import judge_file, load_judge
from lightning_modules.adversarial.sample_scores import SampleScores
from tests.conftest import compose

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> InceptionFile:
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        # Its constructor wants a file or a download.
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda _, state: None)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(network.state_dict(), path)
    return InceptionFile("inception", str(path))


def test_the_distance_is_torchmetrics(file: InceptionFile) -> None:
    generator = torch.Generator().manual_seed(1)
    # Grey, and of another size than the network's.
    genuine, generated = (torch.rand(6, 1, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    generated[:, :, :16] *= 0.2
    theirs = FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=file.weights)
    for image, real in ((genuine, True), (generated, False)):
        theirs.update(((image + 1) * 127.5).round().to(torch.uint8).expand(-1, 3, -1, -1), real=real)
    judge = load_judge(file, CPU)
    ours = SampleScores(judge_name=file.name, expected=[7, 8])
    ours.update(judge(genuine).features, *judge(generated))
    scores = ours.compute()
    assert scores["fid_inception"] > 0
    torch.testing.assert_close(scores["fid_inception"], theirs.compute().float(), rtol=1e-3, atol=1e-4)
    # It knows ImageNet's classes, not the data's.
    assert "recognised" not in scores


def test_nothing_of_it_is_trained(file: InceptionFile) -> None:
    judge = load_judge(file, CPU)
    assert not any(parameter.requires_grad for parameter in judge.parameters())
    assert not any(module.training for module in judge.network.modules())


def test_a_configuration_chooses_it_by_a_file() -> None:
    config = compose("experiment=dcgan_digits", "model/judge=inception", "model.judge.weights=w.pth")
    assert judge_file(dict(config.model.judge)) == InceptionFile("inception", "w.pth")


def test_a_file_that_is_missing_or_another_networks_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    with pytest.raises(FileNotFoundError, match=r"other.pth is no file; give pt_inception"):
        Inception(InceptionFile("inception", str(other)))
    torch.save({"weight": torch.zeros(1)}, other)
    with pytest.raises(ValueError, match=r"other.pth does not hold Inception's weights \(.*fetch pt_inception"):
        Inception(InceptionFile("inception", str(other)))
