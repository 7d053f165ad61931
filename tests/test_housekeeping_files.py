"""Files that services read, checked by what they must hold."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent


def _yaml(name: str) -> Any:
    return yaml.safe_load((PROJECT / name).read_text())


def test_ci_runs_on_every_python_that_the_project_claims() -> None:
    job = _yaml(".github/workflows/ci.yml")["jobs"]["test"]
    versions = job["strategy"]["matrix"]["python"]
    claimed = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert claimed == f">={versions[0]}"
    assert versions == ["3.11", "3.12", "3.13"]
    assert job["steps"][-1] == {"run": "bash .ci/run"}


def test_the_citation_has_the_projects_version_and_licence() -> None:
    citation = _yaml("CITATION.cff")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert f"## {project['version']}" in (PROJECT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "document", ["README.md", "README.ko.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in PROJECT.glob("docs/*.md"))]
)
def test_every_link_to_a_file_leads_to_one(document: str) -> None:
    text = (PROJECT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert ((PROJECT / document).parent / target).exists(), f"{document}: {target}"
