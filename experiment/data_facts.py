"""What a configuration leaves to the user's data: `${class_names_in:<folder>}`, `${num_classes_in:<folder>}`.

Of clips they are `clip_class_names_in` and `num_clip_classes_in`.

They are read when a configuration is checked, before torch is imported, and written into the run's own configuration
when it starts: from then on the run says which classes it has, wherever the folder is.
"""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

from datamodules.class_folders import class_names_in
from datamodules.clip_listing import clip_class_names_in


def _num_classes_in(folder: str) -> int:
    return len(class_names_in(folder))


def _num_clip_classes_in(folder: str) -> int:
    return len(clip_class_names_in(folder))


_READERS = {
    "class_names_in": class_names_in,
    "num_classes_in": _num_classes_in,
    "clip_class_names_in": clip_class_names_in,
    "num_clip_classes_in": _num_clip_classes_in,
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
