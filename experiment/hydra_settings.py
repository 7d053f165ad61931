"""Hydra's own settings in configuration files stay ours; among them are callbacks and environment variables.

Hydra acts on them before a task can look at its configuration, so they are refused before Hydra runs. On the command
line they are as safe as the rest of it: who types it may run what they like.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from experiment.failures import Refused

# Configurations from folders that this module does not look at.
_FOREIGN = ("--config-path", "-cp", "--config-dir", "-cd", "hydra.searchpath")
# Hydra's own launchers have Lightning's other processes run the whole sweep again, each with values of its own.
_OURS = ("hydra/sweeper", "hydra/launcher")
_PACKAGE = re.compile(r"^\s*#\s*@package\s+hydra\b", flags=re.MULTILINE)


def refuse_hydra_settings(conf_dir: Path, arguments: Sequence[str], *, shipped: Sequence[str]) -> None:
    """Refuse a configuration file that changes how Hydra itself runs, and folders of other files.

    Args:
        shipped: the files in `conf_dir` that may have such settings.

    Raises:
        Refused: what was found, and where.
    """
    for argument in arguments:
        key = argument.lstrip("+").split("=", 1)[0]
        if key in _OURS:
            raise Refused(f"{argument}: -m starts its trials itself; leave it out")
        if key in _FOREIGN:
            raise Refused(f"{argument}: configurations come from conf/ alone; put the file there")
    for file in sorted(conf_dir.rglob("*.yaml")):
        place = file.relative_to(conf_dir)
        if str(place) not in shipped and _sets_hydra(file, is_in_hydras_group=place.parts[0] == "hydra"):
            raise Refused(
                f"{file.relative_to(conf_dir.parent)} changes Hydra's own settings; remove that from the file"
            )


def _sets_hydra(file: Path, *, is_in_hydras_group: bool) -> bool:
    text = file.read_text()
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        # Hydra says what is wrong with it, and does nothing else.
        return False
    if is_in_hydras_group or _PACKAGE.search(text):
        return True
    if not isinstance(content, dict):
        return False
    defaults = content.get("defaults") or []
    return "hydra" in content or any("hydra" in str(default) for default in defaults)
