"""The examples do what they say: each is judged by a number that it was not trained on, or by another library."""

import pytest
import torch
import torchvision
from torch.distributions import Normal, kl_divergence

from engine import Variable, as_array, no_grad, test_mode
from engine import functions as F
from engine.examples import character_lstm, gan, grad_cam, mnist_cnn, style_transfer, vae
from engine.examples.data_folder import data_folder
from engine.examples.vgg16 import VGG16


@pytest.mark.slow
@pytest.mark.real_data
def test_a_cnn_reads_mnist(real_data):
    assert mnist_cnn.train(real_data / "mnist") >= 0.985


@pytest.mark.slow
@pytest.mark.real_data
def test_an_lstm_needs_fewer_than_2_6_bits_for_a_letter_of_held_out_shakespeare(real_data):
    assert character_lstm.train(real_data / "text" / "tinyshakespeare.txt", epochs=1) < 2.6


def test_pieces_of_a_text_go_on_where_the_one_before_ended():
    now, then = zip(*character_lstm.pieces(torch.arange(23), batch_size=2, length=4), strict=True)
    assert torch.cat(now).T.tolist() == [list(range(11)), list(range(11, 22))]
    assert torch.equal(torch.cat(then), torch.cat(now) + 1)


def test_a_folder_of_data_must_be_named(monkeypatch):
    monkeypatch.delenv("FIRSTHAND_DATA", raising=False)
    with pytest.raises(ValueError, match="set FIRSTHAND_DATA"):
        data_folder(None)


@pytest.mark.slow
def test_vgg16_with_torchvisions_weights_gives_its_scores():
    torch.manual_seed(0)
    theirs = torchvision.models.vgg16(weights=None).eval()
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs(image)
    with no_grad(), test_mode():
        scores = as_array(VGG16(theirs.state_dict())(image))
    # Relative to the scores, which are small where the weights are random.
    assert (scores - expected).abs().max() < 1e-4 * expected.abs().max()


def test_vgg16_refuses_another_networks_weights():
    with pytest.raises(ValueError, match="not a state dict of VGG-16"):
        VGG16(torchvision.models.squeezenet1_0(weights=None).state_dict())


@pytest.mark.slow
def test_grad_cam_finds_what_the_network_was_never_told_to_find():
    model, right = grad_cam.train()
    image, label, corner = grad_cam.shapes(torch.Generator().manual_seed(1), count=200)
    assert right > 0.95
    assert grad_cam.share_found(grad_cam.maps_of(model, image, label), corner) > 0.95


def test_grad_cam_of_a_mean_and_a_linear_layer_is_the_class_activation_map():
    # Section 3.1 of the paper: up to the number of places the weights are those of the classifier.
    torch.manual_seed(0)
    model = grad_cam.ShapeReader()
    features = Variable(torch.rand(3, 32, 4, 5))
    score = F.sum(model.classify(features)[:, 1])
    expected = torch.einsum("c,bchw->bhw", model.classifier.W.array[:, 1] / 20, features.array).clamp(min=0)
    torch.testing.assert_close(grad_cam.grad_cam(features, score), expected)


@pytest.mark.slow
def test_a_vae_describes_held_out_digits_better_than_independent_pixels():
    _, bound = vae.train()
    assert bound > -25.0
    assert bound > vae.bound_of_independent_pixels(vae.images(train=True), vae.images(train=False)) + 2.0


def test_the_divergence_is_that_of_two_normal_distributions():
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    theirs = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(vae.divergence(mean, log_variance), theirs)


@pytest.mark.slow
def test_forged_digits_come_close_to_genuine_ones():
    _, before, after = gan.train()
    assert after < 0.2 * before


def test_the_frechet_distance_of_shifted_and_stretched_rows_is_known():
    rows = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    assert gan.frechet_distance(rows, rows + 2.0) == pytest.approx(5 * 2.0**2, rel=1e-5)
    centred = rows - rows.mean(0)  # |C^½ - (4 C)^½|² = tr C
    assert gan.frechet_distance(centred, 2 * centred) == pytest.approx(rows.T.cov().trace().item(), rel=1e-5)


@pytest.mark.slow
def test_a_picture_takes_on_a_style_and_keeps_its_content():
    content, style = style_transfer.sample_pictures(50)
    picture, history = style_transfer.transfer(content, style, steps=40)
    assert history[-1].style < 0.2 * history[0].style
    assert history[-1].content < 0.5
    assert picture.min() >= 0.0
    assert picture.max() <= 1.0


def test_a_gram_matrix_is_the_mean_product_of_channels():
    x = torch.randn(1, 3, 4, 5)
    torch.testing.assert_close(style_transfer.gram(x), torch.einsum("bchw,bdhw->cd", x, x) / 20)


def test_sample_pictures_are_two_squares():
    for picture in style_transfer.sample_pictures(40):
        assert picture.shape == (1, 3, 40, 40)
        assert 0.0 <= picture.min() < picture.max() <= 1.0
