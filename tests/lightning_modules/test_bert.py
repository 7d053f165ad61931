"""BERT against Hugging Face's: hidden states, names of published weights; its rates, its way to the next run."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining, BertModel

from datamodules.batches import NOT_HIDDEN, MaskedTextBatch, TextClassificationBatch
from experiment import training
from experiment.failures import Refused, RunFailed
from experiment.targets import instantiate_flat
from lightning_modules.bert.module import BERTClassifier, BERTPretraining
from lightning_modules.bert.network import BERT
from lightning_modules.bert.parameter_groups import parameter_groups
from lightning_modules.bert.published_weights import renamed, with_repeated_positions
from lightning_modules.pretrained import Weights, load_weights_
from tests.conftest import MakeRequest, compose

SIZE = {"vocabulary_size": 50, "num_positions": 16, "num_layers": 3, "dim": 12, "num_heads": 3, "hidden_features": 20}
PAPERS = {"dropout": 0.0, "attention_dropout": 0.0, "initial_std": 0.02, "norm_first": False}
ADAMW = {"_target_": "torch.optim.AdamW", "lr": 1.0, "weight_decay": 0.1}
TOKENS = torch.tensor([[2, 7, 9, 8, 3, 11, 3], [2, 40, 3, 6, 3, 0, 0]])
SEGMENTS = torch.tensor([[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0, 0]])


def _config() -> BertConfig:
    return BertConfig(
        vocab_size=50,
        max_position_embeddings=16,
        num_hidden_layers=3,
        hidden_size=12,
        num_attention_heads=3,
        intermediate_size=20,
    )


def _pretraining(*, next_sentence: bool) -> BERTPretraining:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {**SIZE, **PAPERS, "next_sentence": next_sentence}
    return BERTPretraining(**sizes, weights=None, optimizer=ADAMW, scheduler=None).eval()


def _spread_out_(network: nn.Module) -> None:
    """Numbers as different as those of trained weights, biases and norms included."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)


def _hugging_faces(kind: Any = BertModel) -> Any:
    network = kind(_config()).eval()
    _spread_out_(network)
    return network


def _ours(state: dict[str, Tensor]) -> BERT:
    network = BERT(**SIZE, **PAPERS).eval()  # type: ignore[arg-type]
    load_weights_(network, renamed(Weights("a test", state)), new=())
    return network


def test_hidden_states_and_summary_are_hugging_faces() -> None:
    theirs = _hugging_faces()
    expected = theirs(TOKENS, attention_mask=(TOKENS != 0).long(), token_type_ids=SEGMENTS)
    found = _ours(theirs.state_dict())(TOKENS, SEGMENTS)
    is_text = TOKENS != 0
    torch.testing.assert_close(found.features[is_text], expected.last_hidden_state[is_text], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.summary, expected.pooler_output, atol=1e-5, rtol=0)


def test_shown_attention_is_hugging_faces_of_the_first_token() -> None:
    theirs = _hugging_faces()
    theirs.set_attn_implementation("eager")
    expected = theirs(TOKENS, attention_mask=(TOKENS != 0).long(), output_attentions=True).attentions
    found = _ours(theirs.state_dict()).attention(TOKENS)
    for layer, weights in enumerate(expected):
        torch.testing.assert_close(found[:, layer], weights[:, :, 0], atol=1e-5, rtol=0)


def test_scores_of_hidden_tokens_are_hugging_faces() -> None:
    theirs = _hugging_faces(BertForPreTraining)
    model = _pretraining(next_sentence=True)
    state = theirs.state_dict()
    load_weights_(model.network, renamed(Weights("a test", state)), new=())
    transform = {"transform": "transform.dense", "transform_norm": "transform.LayerNorm"}
    for ours, other in transform.items():
        for part in ("weight", "bias"):
            value = state[f"cls.predictions.{other}.{part}"]
            dict(model.heads.named_parameters())[f"{ours}.{part}"].data.copy_(value)
    model.heads.token_bias.data.copy_(state["cls.predictions.bias"])
    expected = theirs(TOKENS, attention_mask=(TOKENS != 0).long()).prediction_logits
    is_text = TOKENS != 0
    torch.testing.assert_close(model(TOKENS)[is_text], expected[is_text], atol=2e-5, rtol=0)


@pytest.mark.parametrize(("weight", "bias"), [("weight", "bias"), ("gamma", "beta")])
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_published_files_of_every_time_load(prefix: str, weight: str, bias: str) -> None:
    theirs = _hugging_faces()
    state = {
        prefix + name.replace("LayerNorm.weight", f"LayerNorm.{weight}").replace("LayerNorm.bias", f"LayerNorm.{bias}"):
        tensor
        for name, tensor in theirs.state_dict().items()
    }  # fmt: skip
    torch.testing.assert_close(_ours(state)(TOKENS).summary, _ours(theirs.state_dict())(TOKENS).summary)


def test_weights_of_another_size_are_refused() -> None:
    state = _hugging_faces().state_dict()
    network = BERT(**{**SIZE, "dim": 6}, **PAPERS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"token_embedding.weight \(50x12 in the file, 50x6 in the net"):
        load_weights_(network, renamed(Weights("a test", state)), new=())


def test_segments_and_the_order_of_words_matter() -> None:
    network = _ours(_hugging_faces().state_dict())
    summary = network(TOKENS).summary
    assert (network(TOKENS, SEGMENTS).summary - summary).abs().max() > 1e-3
    assert (network(TOKENS[:, [0, 2, 1, 3, 4, 5, 6]]).summary - summary)[0].abs().max() > 1e-3


def test_more_padding_changes_nothing() -> None:
    network = _ours(_hugging_faces().state_dict())
    torch.testing.assert_close(network(nn.functional.pad(TOKENS, (0, 3))).summary, network(TOKENS).summary)


def test_a_text_longer_than_the_positions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a text of 17 tokens, but positions are learned for 16; lower data.max_len"):
        BERT(**SIZE, **PAPERS)(torch.ones(1, 17, dtype=torch.long))  # type: ignore[arg-type]


def test_rates_fall_from_layer_to_layer_and_vectors_are_not_decayed() -> None:
    head = nn.Linear(12, 2)
    groups = parameter_groups(BERT(**SIZE, **PAPERS), head, optimizer=ADAMW, layer_decay=0.5)  # type: ignore[arg-type]
    rates = {group["name"]: group["lr"] for group in groups if "not" not in group["name"]}
    assert rates == {"embeddings": 1 / 16, "layer 1": 1 / 8, "layer 2": 1 / 4, "layer 3": 1 / 2, "head": 1.0}
    for group in groups:
        for parameter in group["params"]:
            assert (parameter.ndim > 1) == (group["weight_decay"] == 0.1)


def test_a_factor_between_layers_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model.layer_decay=1.5: choose a factor above 0, up to 1"):
        parameter_groups(BERT(**SIZE, **PAPERS), nn.Linear(12, 2), optimizer=ADAMW, layer_decay=1.5)  # type: ignore[arg-type]


def test_a_loss_of_masked_tokens_is_that_of_the_scores_at_their_places() -> None:
    model = _pretraining(next_sentence=True)
    hidden = torch.full_like(TOKENS, NOT_HIDDEN)
    hidden[0, 2], hidden[1, 1] = 21, 22
    loss = model._step(MaskedTextBatch(TOKENS, SEGMENTS, hidden, torch.tensor([True, False])), "val")
    encoded = model.network(TOKENS, SEGMENTS)
    scores = model.heads(encoded, model.network.token_embedding.weight, torch.ones_like(TOKENS, dtype=torch.bool))
    log_probability = scores.token.unflatten(0, TOKENS.shape).log_softmax(dim=2)
    mlm = -(log_probability[0, 2, 21] + log_probability[1, 1, 22]) / 2
    nsp = -(scores.is_next[0].sigmoid().log() + (1 - scores.is_next[1].sigmoid()).log()) / 2
    torch.testing.assert_close(loss, mlm + nsp)


def test_single_passages_are_learned_from_without_a_second_task() -> None:
    batch = MaskedTextBatch(TOKENS, SEGMENTS, TOKENS, torch.tensor([True, False]))
    model = _pretraining(next_sentence=False)
    other_next = batch._replace(is_next=~batch.is_next)
    torch.testing.assert_close(model._step(batch, "val"), model._step(other_next, "val"), rtol=0, atol=0)
    assert model.metrics.names == ["mlm_loss", "mlm_accuracy"]


def test_with_the_norm_first_what_comes_out_is_normalised_and_the_last_norm_learns_like_the_head() -> None:
    network = BERT(**{**SIZE, **PAPERS, "norm_first": True})  # type: ignore[arg-type]
    features = network(TOKENS).features
    torch.testing.assert_close(features.mean(dim=2), torch.zeros(TOKENS.shape), rtol=0, atol=1e-6)
    torch.testing.assert_close(features.var(dim=2, correction=0), torch.ones(TOKENS.shape), rtol=1e-4, atol=0)
    groups = parameter_groups(network, nn.Linear(12, 2), optimizer=ADAMW, layer_decay=0.5)
    (rate,) = [g["lr"] for g in groups if any(p is network.final_norm.weight for p in g["params"])]
    assert rate == ADAMW["lr"]


def test_random_weights_have_the_spread_that_is_asked_for() -> None:
    network = BERT(**{**SIZE, **PAPERS, "vocabulary_size": 2000, "initial_std": 0.1})  # type: ignore[arg-type]
    # A normal distribution that is cut off at two standard deviations has 0.880 of its spread.
    assert network.token_embedding.weight.std().item() == pytest.approx(0.0880, rel=0.02)


SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=3", "trainer.limit_val_batches=1",
         "trainer.limit_test_batches=1")  # fmt: skip


def test_a_pretrained_network_goes_from_one_run_to_the_next(make_request: MakeRequest) -> None:
    first = make_request(*SHORT, experiment="bert_sentences_pretrain")
    training.run_training(first)
    checkpoint = first.run.checkpoints / "best.ckpt"
    settings: Any = OmegaConf.to_container(
        compose("experiment=bert_sentences", f"model.weights={checkpoint}"), resolve=True
    )
    model: BERTClassifier = instantiate_flat(settings["model"])
    report = model.load_pretrained_weights()
    assert report is not None
    assert report.untouched == []
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, state[f"network.{name}"]), name
    second = make_request(*SHORT, f"model.weights={checkpoint}", experiment="bert_sentences")
    training.run_training(second)
    assert (
        torch.load(checkpoint, weights_only=True)["MaskedTextsDataModule"]
        == (torch.load(second.run.checkpoints / "best.ckpt", weights_only=True)["LabelledTextsDataModule"])
    )


def test_positions_of_shorter_texts_are_repeated() -> None:
    short = BERT(**{**SIZE, **PAPERS, "num_positions": 6})  # type: ignore[arg-type]
    network = BERT(**SIZE, **PAPERS)  # type: ignore[arg-type]
    weights = with_repeated_positions(Weights("a run", short.state_dict()), num_positions=16)
    load_weights_(network, weights, new=())
    for place in range(16):
        assert torch.equal(network.position_embedding.weight[place], short.position_embedding.weight[place % 6])
    assert weights.source == "a run, 6 positions repeated"


def test_weights_of_another_vocabulary_are_refused(make_request: MakeRequest) -> None:
    first = make_request(*SHORT, experiment="bert_sentences_pretrain")
    training.run_training(first)
    weights = f"model.weights={first.run.checkpoints / 'best.ckpt'}"
    # As many tokens, which the network cannot tell apart from its own.
    other = make_request(*SHORT, weights, "data.vocabulary.lowercase=false", experiment="bert_sentences")
    with pytest.raises(RunFailed, match="were trained with another vocabulary than the data have"):
        training.run_training(other)


def test_weights_that_are_not_there_are_refused_before_training(make_request: MakeRequest) -> None:
    with pytest.raises(Refused, match=r"there are no weights nowhere\.ckpt"):
        training.run_training(make_request(*SHORT, "model.weights=nowhere.ckpt", experiment="bert_sentences"))


@pytest.mark.slow
def test_the_base_size_takes_an_optimisation_step() -> None:
    settings: Any = OmegaConf.to_container(compose("experiment=bert_base_imdb"), resolve=True)
    torch.manual_seed(0)
    model = instantiate_flat(settings["model"])
    model.trainer = SimpleNamespace(estimated_stepping_batches=10)
    optimizer = model.configure_optimizers()["optimizer"]
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    batch = TextClassificationBatch(torch.randint(1, 30522, (2, 32)), torch.tensor([0, 1]))
    loss = model._step(batch, "train")
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert all(not torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
