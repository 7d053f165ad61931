"""Whether an experiment comes out the same, bit for bit, when it is interrupted."""

import argparse
import json

from experiment.entry import CONF_DIR
from experiment.failures import EXIT_FAILED, EXIT_FINISHED, Refused
from experiment.locations import did_you_mean
from experiment.verification import verify


def answer(arguments: argparse.Namespace) -> int:
    """Prove it for one experiment; fails if anything differs.

    Raises:
        Refused: there is no such experiment, or train.py refuses its configuration.
    """
    experiments = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))
    if arguments.experiment not in experiments:
        guess = did_you_mean(arguments.experiment, experiments)
        raise Refused(f"there is no experiment {arguments.experiment}{guess} (there are: {', '.join(experiments)})")
    proofs = []
    for proof in verify(arguments.experiment, arguments.overrides):
        proofs.append(proof)
        if not arguments.json:
            verdict = "the same bit for bit" if not proof.differences else "DIFFERENT"
            print(f"{arguments.experiment}, {proof.name}: {verdict} ({proof.seconds:.0f} s)", flush=True)
            for difference in proof.differences:
                print(f"    {difference}")
    if arguments.json:
        print(json.dumps([proof._asdict() for proof in proofs], indent=1))
    return EXIT_FAILED if any(proof.differences for proof in proofs) else EXIT_FINISHED
