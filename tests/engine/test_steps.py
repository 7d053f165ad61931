"""Every step of the way up runs, shows something, and keeps its claims."""

import pytest

from engine.steps.__main__ import claims, load, main, step_names, title

STEPS = step_names()
CLAIMS = [(step, name) for step in STEPS for name in claims(load(step))]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_shows_something(step, capsys):
    load(step).main()
    assert len(capsys.readouterr().out) > 20


@pytest.mark.parametrize(("step", "claim"), CLAIMS)
def test_a_claim_of_a_step_holds(step, claim):
    claims(load(step))[claim]()


def test_every_step_claims_something_and_has_a_title_of_one_line():
    assert {step for step, _ in CLAIMS} == set(STEPS)
    assert all(title(load(step)).endswith(".") for step in STEPS)


def test_steps_are_numbered_without_gaps():
    assert [int(step[4:6]) for step in STEPS] == list(range(1, len(STEPS) + 1))


def test_the_list_names_every_step(capsys):
    assert main([]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(STEPS)


def test_a_step_is_run_by_its_number_and_its_claims_are_checked(capsys):
    assert main(["2"]) == 0
    assert "checked: functions compose" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["0"], ["99"], ["two"], ["1", "2"]])
def test_an_unknown_step_is_refused(arguments, capsys):
    assert main(arguments) == 2
    assert f"from 1 to {len(STEPS)}" in capsys.readouterr().err
