"""A trainer lets everything else on the machine go first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.jobs import ROOT

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this system shares the processor out among processes alone")
def test_a_trainer_steps_back_with_its_whole_session() -> None:
    code = f"from trainer.__main__ import _step_back; _step_back(7); print(open({str(AUTOGROUP)!r}).read())"
    asked = [sys.executable, "-c", code]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, start_new_session=True).stdout
    assert int(said.split()[-1]) >= 7


def test_a_trainer_that_need_not_step_back_stays_as_it_is() -> None:
    code = "import os; from trainer.__main__ import _step_back; _step_back(0); print(os.nice(0))"
    asked = [sys.executable, "-c", code]
    mine = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, start_new_session=True).stdout
    theirs = subprocess.run(
        [sys.executable, "-c", "import os; print(os.nice(0))"], capture_output=True, text=True, check=True
    ).stdout
    assert mine == theirs
