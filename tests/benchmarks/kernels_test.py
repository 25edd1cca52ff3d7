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
@pytest.mark.parametrize(
    "name", ["small32", pytest.param("paper32", marks=pytest.mark.campaign("measurements"))]
)
def test_more_critic_updates_cost_no_graph(name):
    arch = architectures.architecture(name)
    one, five = (kernels.traced(kernels.made(arch, _recipe(name, n_critic=n)))[2] for n in (1, 5))
    assert 0 < five <= 1.4 * one


@pytest.mark.campaign("measurements")
def test_the_step_of_the_largest_preset_is_traced_and_compiled_in_time():
    """At its recommended settings; seconds are of the processor, as other programs may run beside."""
    arch, recipe = architectures.architecture("paper32"), _recipe("paper32")
    assert recipe.n_critic == 5
    _, seconds, _ = kernels.traced(kernels.made(arch, recipe))
    assert seconds < 5
    xla = kernels.compiled(kernels.made(arch, recipe, True), 64)
    passes = {"generator_0", "generator_1", "_critic_gradients", "_gradients_of_images", "_gradients"}
    assert set(xla) == passes and 0 < sum(xla.values()) < 90
