"""How many kernels a step executes, and that more critic updates cost no graph."""

import dataclasses

import pytest

from benchmarks import kernels
from ltgans_tf.settings import architectures, presets

# Of the step of each preset, by its architecture; where a change needs more, say in its commit why.
MOST_KERNELS = {"small32": 650, "small64": 745, "paper32": 1020, "paper64": 1100}


def _recipe(name, **changes):
    return dataclasses.replace(presets.recipe("recommended", name), **changes)


def test_every_preset_has_a_ceiling():
    assert {preset.architecture for preset in presets.PRESETS.values()} == set(MOST_KERNELS)


@pytest.mark.program
@pytest.mark.parametrize(
    "name",
    [
        "small32",
        *(
            pytest.param(n, marks=pytest.mark.campaign("measurements"))
            for n in MOST_KERNELS
            if n != "small32"
        ),
    ],
)
def test_a_step_executes_no_more_kernels_than_it_needs(name):
    kinds = kernels.executed(kernels.made(architectures.architecture(name), _recipe(name)))
    assert 300 < kinds.total() <= MOST_KERNELS[name], kinds


@pytest.mark.program
def test_more_critic_updates_cost_no_graph():
    arch = architectures.architecture("small32")
    one, five = (kernels.traced(kernels.made(arch, _recipe("small32", n_critic=n)))[2] for n in (1, 5))
    assert five <= 1.4 * one
