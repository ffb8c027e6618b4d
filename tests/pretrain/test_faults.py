"""The list of planted faults fits the code: `python -m tests.pretrain.faults` plants them."""

import pytest

from tests.pretrain.faults import FAULTS, Fault
from tests.pretrain.tools import ROOT


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_planted(fault: Fault):
    text = (ROOT / "pretrain" / fault.file).read_text()
    assert text.count(fault.old) == 1
    file, _, name = fault.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / "tests" / "pretrain" / file).read_text()
