"""A few of the inputs that tests.hostile.inputs makes up, for each thing that reads some."""

import pytest
from absl import flags

from tests.hostile import drawn_inputs, inputs

inputs.import_tensorflow()
TARGETS = inputs.targets()


@pytest.mark.program
@pytest.mark.parametrize("name", TARGETS)
def test_input_is_read_or_refused_in_a_sentence(name):
    read, what = TARGETS[name]
    found = inputs.campaign(read, what, 40)
    assert found["tried"] == found["read"] + found["refused"] >= 30
    assert not found["hangs"], found["slowest_input"]


@pytest.mark.program
def test_flags_that_are_tried_leave_the_others_as_they_were(tmp_path):
    flags.FLAGS(["program", "--batch_size=3", f"--workdir={tmp_path}"])
    inputs.read_flags(tmp_path, {"seed": "5"})
    assert flags.FLAGS.batch_size == 3 and flags.FLAGS.seed is None
    flags.FLAGS["batch_size"].unparse()


@pytest.mark.program
def test_an_input_that_ends_in_another_error_is_told():
    def read(folder, value):
        return {}[value]

    with pytest.raises(KeyError):
        inputs.campaign(read, drawn_inputs.texts, 5)
