"""Each fault at each place in each phase: the documented answer, in time, truthful about what was run; and afterwards
nothing is held and the next call is answered.

FAULT_SHARE=7 (the default) takes one cell in seven, always the same; 1 takes all. FAULT_SEED chooses the bytes, and
FAULT_ROUNDS how many of them each cell gets. `make faults` takes all cells with a new seed; a failure prints what
repeats it.
"""
import os

import pytest

import matrix
from stack import CALL, SLACK, STREAM, Stack

SEED = int(os.environ.get("FAULT_SEED", "1"))
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
CELLS = matrix.sample(matrix.cells(), int(os.environ.get("FAULT_SHARE", "7")))


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("faults"))
    yield stack
    stack.stop()


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell(stack, cell, seed):
    outcome = matrix.run(stack, cell, seed)
    where = (f"\n  {cell}: {outcome.answer}\n  runs: {outcome.runs:.0f}, stored: {outcome.stored}, "
             f"fault: {matrix.fault(cell, '…', seed)}\n  again: FAULT_SHARE=1 FAULT_SEED={seed} Tests/Reliability/run -k "
             f"'{cell}'")
    assert outcome.befallen >= 1, f"the fault did not happen{where}"
    assert matrix.is_expected(cell, outcome), f"expected {sorted(matrix.expected(cell))}{where}"
    assert matrix.is_truthful(cell, outcome), f"not what happened{where}"
    bound = STREAM if cell.call == "stream" else CALL
    assert outcome.answer.seconds <= bound + SLACK, f"took too long{where}"
    matrix.check_rest(stack, cell)
