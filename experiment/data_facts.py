"""What a configuration leaves to the user's data: `${class_names_in:<folder>}`, `${num_classes_in:<folder>}`.

Of clips they are `clip_class_names_in` and `num_clip_classes_in`, of normal and anomalous images `anomaly_kinds_in` and
`num_anomaly_kinds_in`.

They are read when a configuration is checked, before torch is imported, and written into the run's own configuration
when it starts: from then on the run says which classes it has, wherever the folder is.
"""

import re
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from datamodules.anomaly_listing import anomaly_kinds_in
from datamodules.class_folders import class_names_in
from datamodules.clip_listing import clip_class_names_in


def _number(names_in: Callable[[str], list[str]]) -> Callable[[str], int]:
    return lambda folder: len(names_in(folder))


_READERS: dict[str, Callable[[str], Any]] = {
    "class_names_in": class_names_in,
    "num_classes_in": _number(class_names_in),
    "clip_class_names_in": clip_class_names_in,
    "num_clip_classes_in": _number(clip_class_names_in),
    "anomaly_kinds_in": anomaly_kinds_in,
    "num_anomaly_kinds_in": _number(anomaly_kinds_in),
}
_IS_READ = re.compile(rf"\$\{{({'|'.join(_READERS)}):")

for _name, _reader in _READERS.items():
    OmegaConf.register_new_resolver(_name, _reader, replace=True)


def write_down_facts_(config: DictConfig, settings: dict[str, Any]) -> None:
    """Replace what is read from the data by what was read.

    Args:
        settings: the same configuration as plain values.
    """
    for name, value in OmegaConf.to_container(config.data, resolve=False).items():  # type: ignore[union-attr]  # a dict
        if isinstance(value, str) and _IS_READ.match(value):
            config.data[name] = settings["data"][name]
