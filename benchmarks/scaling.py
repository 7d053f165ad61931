"""What several GPUs would make of our full-size models, on paper: `python -m benchmarks.scaling` prints the table.

Weights and operations are counted; what is in capitals below is assumed, docs/scaling.md says why.
"""

from typing import Any, NamedTuple

import hydra
import torch
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from experiment.entry import CONF_DIR
from experiment.targets import instantiate_flat

# One H200 in bf16, operations a second: a large matrix product, and the share of it that training reaches.
PEAK, UTILISATION = 790e12, 0.35
# Bytes a second, one direction: NVLink of a GPU; InfiniBand (400 Gb/s a GPU) and Ethernet (100 Gb/s) of a machine.
NVLINK, INFINIBAND, ETHERNET = 450e9, 8 * 50e9, 12.5e9
GPUS_IN_A_MACHINE = 8
# Of a link's bandwidth that collectives reach, and seconds that each of their rounds takes at least.
LINK_UTILISATION, LATENCY_S = 0.8, 10e-6
# DDP's, in bytes: gradients leave in buckets while others are computed; the last one has nothing to hide behind.
LAST_BUCKET = 25 * 2**20
# Of a step, behind which gradients can be exchanged: a backward pass is twice a forward one.
BACKWARD = 2 / 3
# Processor cores beside each GPU.
CORES = 14

# Full-size experiments and the shape of one sample.
MODELS = {
    "vgg_ants_bees_finetune": (3, 224, 224),
    "ssd300_voc": (3, 300, 300),
    "pspnet50_voc": (3, 473, 473),
    "openpose_coco": (3, 368, 368),
    "bert_base_imdb": (512,),
    "c3d_ucf101": (3, 16, 112, 112),
    "eco_kinetics": (3, 16, 224, 224),
}
# Samples that one core reads and augments in a second: benchmarks/input_pipeline.py, on two cores of an AMD EPYC.
SAMPLES_PER_CORE_S = {
    "vgg_ants_bees_finetune": 260.0,
    "ssd300_voc": 44.0,
    "pspnet50_voc": 15.0,
    "openpose_coco": 73.0,
}


class Load(NamedTuple):
    """What a model asks of a GPU in a step, and of the network after it."""

    num_weights: int
    operations: float
    batch_size: int

    @property
    def step_s(self) -> float:
        """Of one GPU."""
        return self.operations * self.batch_size / (PEAK * UTILISATION)

    @property
    def gradient_bytes(self) -> int:
        """In float32, as mixed precision has them."""
        return 4 * self.num_weights


def load_of(experiment: str) -> Load:
    """Counted on tensors that have shapes but no values; a backward pass is two forward ones."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        config = hydra.compose("train", [f"experiment={experiment}"])
    OmegaConf.update(config, "paths.run_dir", "")
    settings: Any = {name: OmegaConf.to_container(config[name], resolve=True) for name in ("model", "data")}
    shape = MODELS[experiment]
    with torch.device("meta"):
        model = instantiate_flat(settings["model"]).train()
        sample = torch.ones(1, *shape, dtype=torch.long) if len(shape) == 1 else torch.zeros(2, *shape)
        counter = FlopCounterMode(display=False)
        with counter:
            model(sample)
    num_weights = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return Load(num_weights, 3 * counter.get_total_flops() / len(sample), settings["data"]["batch_size"])


def all_reduce_s(num_bytes: float, num_gpus: int, *, between_machines: float) -> float:
    """Seconds of a ring all-reduce (Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002)."""
    bandwidth = LINK_UTILISATION * min(NVLINK, between_machines if num_gpus > GPUS_IN_A_MACHINE else NVLINK)
    return 2 * (num_gpus - 1) * (num_bytes / num_gpus / bandwidth + LATENCY_S)


def ddp_efficiency(load: Load, num_gpus: int, *, between_machines: float) -> float:
    """A step's time on one GPU over that on many, each with the same batch size."""
    exchange = all_reduce_s(load.gradient_bytes, num_gpus, between_machines=between_machines)
    last = all_reduce_s(min(load.gradient_bytes, LAST_BUCKET), num_gpus, between_machines=between_machines)
    return load.step_s / (load.step_s + max(exchange - BACKWARD * load.step_s, last))


def fsdp_efficiency(load: Load, num_gpus: int, *, between_machines: float) -> float:
    """The same where weights in bf16 are gathered before a step and gradients scattered after it: half of DDP's bytes.

    `trainer=fsdp` names no policy of wrapping: the network is one unit, and nothing overlaps.
    """
    exchange = all_reduce_s(load.gradient_bytes / 2, num_gpus, between_machines=between_machines)
    return load.step_s / (load.step_s + exchange)


def first_to_saturate(load: Load, *, samples_per_core_s: float | None) -> str:
    """Of a machine's cores, InfiniBand and Ethernet at 64 GPUs: what leaves less than nine tenths, the least first."""
    shares = {
        "InfiniBand": ddp_efficiency(load, 64, between_machines=INFINIBAND),
        "Ethernet": ddp_efficiency(load, 64, between_machines=ETHERNET),
    }
    if samples_per_core_s is not None:
        shares["cores"] = CORES * samples_per_core_s * load.step_s / load.batch_size
    short = sorted((share, name) for name, share in shares.items() if share < 0.9)
    return ", ".join(name for _, name in short) or "nothing"


def table() -> str:
    """Markdown, as docs/scaling.md has it."""
    lines = [
        "| experiment | weights | operations of a sample | batch of a GPU, step | DDP on 2, 8 | 16, 64, InfiniBand"
        " | 16, 64, Ethernet | FSDP on 8, 64, InfiniBand | cores a GPU needs | runs short at 64 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for experiment in MODELS:
        load, rate = load_of(experiment), SAMPLES_PER_CORE_S.get(experiment)
        cells = [
            f"`{experiment}`",
            f"{load.num_weights / 1e6:.0f} M",
            f"{load.operations / 1e9:.0f} G",
            f"{load.batch_size}, {load.step_s * 1e3:.0f} ms",
            _percents(ddp_efficiency(load, count, between_machines=INFINIBAND) for count in (2, 8)),
            _percents(ddp_efficiency(load, count, between_machines=INFINIBAND) for count in (16, 64)),
            _percents(ddp_efficiency(load, count, between_machines=ETHERNET) for count in (16, 64)),
            _percents(fsdp_efficiency(load, count, between_machines=INFINIBAND) for count in (8, 64)),
            "not measured" if rate is None else f"{load.batch_size / load.step_s / rate:.1f}",
            first_to_saturate(load, samples_per_core_s=rate),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _percents(shares: Any) -> str:
    return ", ".join(f"{share:.0%}" for share in shares)


if __name__ == "__main__":
    print(table())
