"""What tests/test_contract.py must know of single models and experiments."""

import re

from experiment.entry import CONF_DIR
from tests.conftest import EXPERIMENTS

# At the paper's size and 1,000 classes, as the papers or their reference implementations have it.
PARAMETERS = {
    "anogan": 3_576_704 + 2_765_568,
    # Without heads, as Hugging Face's BertModel.
    "bert": 109_482_240,
    "bert_pretraining": 109_482_240,
    "c3d": 82_092_776,
    "dcgan": 3_576_704 + 2_765_568,
    "eco": 37_811_656,
    "eco_full": 48_424_328,
    "efficient_gan": 6_597_185 + 3_815_169 + 218_516,
    # 3 x 32 x 32 pixels, a hidden layer of 1,000: 3,072,000 + 1,000 + 1,000,000 + 1,000.
    "engine_mlp": 4_074_000,
    "openpose": 52_311_446,
    "openpose_2019": 26_049_982,
    "pspnet": 49_835_408,
    "r3d": 33_679_272,
    # Not the paper's residual networks: DCGAN's ladder with biases in the discriminator, and attention.
    "sagan": 3_808_132 + 2_766_786,
    "ssd": 157_274_246,
    "transfer": 138_357_544,
    # Six layers of 4 (512^2 + 512) + 2 * 512 * 2048 + 2048 + 512 + 4 * 512, and 37,000 tokens (section 5.1) of 512.
    "transformer": 37_858_304,
    "tsn": 11_295_240,
    "vgg": 138_357_544,
}
# What the data says of a model's size, of the papers' data.
SIZES: dict[str, dict[str, int]] = {
    "anogan": {"image_size": 64},
    "bert": {"vocabulary_size": 30_522, "max_length": 512},
    "bert_pretraining": {"vocabulary_size": 30_522, "max_length": 512, "next_sentence": True},
    "dcgan": {"image_size": 64},
    "efficient_gan": {"image_size": 28, "in_channels": 1},
    "sagan": {"image_size": 64},
    "transformer": {"vocabulary_size": 37_000, "max_length": 512},
}
# Data sets or weights that are not made on the spot.
NEEDS_REAL_DATA = {
    "anogan_mnist",
    "bert_imdb",
    "bert_imdb_pretrain",
    "c3d_actions",
    "dcgan_mnist",
    "eco_actions",
    "efficient_gan_mnist",
    "openpose_coco_sample",
    "pspnet_voc_overfit",
    "pspnet_voc_sample",
    "sagan_mnist",
    "squeezenet_ants_bees_finetune",
    "squeezenet_ants_bees_transfer",
    "ssd_voc_overfit",
    "ssd_voc_sample",
    "transformer_imdb",
    "tsn_actions",
    "vgg_mnist",
}
# Photographs at their size (tests/lightning_modules/test_transfer_resume.py resumes the same model on small images),
# all of IMDb's reviews, a search for every test image.
TAKES_MINUTES = {
    "anogan_mnist",
    "bert_imdb",
    "bert_imdb_pretrain",
    "openpose_coco_sample",
    "pspnet_voc_overfit",
    "pspnet_voc_sample",
    "squeezenet_ants_bees_finetune",
    "squeezenet_ants_bees_transfer",
    "ssd_voc_overfit",
    "ssd_voc_sample",
    "transformer_imdb",
}
# Of the same eight images in all splits.
ONE_BATCH_AN_EPOCH = {"openpose_coco_sample", "pspnet_voc_overfit", "ssd_voc_overfit"}
# As published, for a GPU: they take one step.
FULL_SIZE = {"vgg_ants_bees_finetune", "vgg_ants_bees_transfer"}
# The same, with that step in a test of their own.
FULL_SIZE_ELSEWHERE = {
    "anogan64_mnist",
    "bert_base_imdb",
    "c3d_ucf101",
    "dcgan64_mnist",
    "eco_kinetics",
    "efficient_gan28_mnist",
    "openpose_coco",
    "pspnet50_voc",
    "sagan64_mnist",
    "ssd300_coco",
    "ssd300_voc",
}
# Networks that play against each other have no common loss that falls; their own tests have what training does.
ADVERSARIAL = {name for name in EXPERIMENTS if name.startswith(("anogan_", "dcgan_", "efficient_gan_", "sagan_"))}
# How long a batch is learned, where 60 steps are too few: joints and edges come last in a map of an eighth of the side,
# and of hidden tokens there are few in a batch.
STEPS_TO_OVERFIT = {
    "bert_imdb_pretrain": 150,
    "bert_sentences_pretrain": 150,
    "openpose_coco_sample": 120,
    "openpose_stick_figures": 120,
    "pspnet_voc_overfit": 150,
    "pspnet_voc_sample": 150,
    "pspnet_voc_shapes": 150,
}
# With 3D convolutions, which torch gets wrong in bfloat16 on a CPU (experiment/broken_kernels.py).
CONVOLVES_CLIPS = {
    "c3d_actions",
    "c3d_moving_shapes",
    "eco_actions",
    "eco_moving_shapes",
    "r3d_moving_shapes",
}


def one_of_each_model() -> dict[str, str]:
    """Of every model that has an experiment below its paper's size the one that asks for least."""
    chosen: dict[str, str] = {}
    names = set(EXPERIMENTS) - FULL_SIZE - FULL_SIZE_ELSEWHERE
    for name in sorted(names, key=lambda name: (name in TAKES_MINUTES, name in NEEDS_REAL_DATA, name)):
        if model := re.search(r"override /model: (\w+)", (CONF_DIR / "experiment" / f"{name}.yaml").read_text()):
            chosen.setdefault(model[1], name)
    return chosen
