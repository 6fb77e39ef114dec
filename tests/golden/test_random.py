"""Random graphs, the same every time: random_graphs.py draws more (make random-graphs)."""

import pytest

import random_graphs as rg

GRAPHS, BATCH = 300, 50
LEVELS = ["scalar", "avx2", "avxvnni", "avx512", "vnni"]
SAMPLERS = rg.all_samplers()


@pytest.mark.parametrize("first", range(0, GRAPHS, BATCH))
def test_random_graphs(first):
    with rg.Cases() as cases:
        drawn = [g for seed in range(first, first + BATCH) if (g := rg.draw(seed, SAMPLERS))]
        assert len(drawn) > BATCH * 0.9
        wrong = [f"seed {g.seed} opset {g.opset}: {text}" for g in drawn if (text := rg.check(cases, g))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("switch", ["passes off", "one thread", *LEVELS])
def test_random_graphs_switched(switch):
    """The same without passes, on one thread, with fewer instructions."""
    options = {"passes off": {"off": 0xFFFFFFFF}, "one thread": {"threads": 1}}.get(switch, {"cpu": switch})
    with rg.Cases(**options) as cases:
        for seed in range(GRAPHS, GRAPHS + BATCH):
            g = rg.draw(seed, SAMPLERS)
            assert not (g and rg.check(cases, g)), f"seed {seed}"


def test_spoiled_graphs():
    """Damaged graphs of every kind may be refused or answered, not crash; with sanitizers: random_graphs.py --spoil."""
    with rg.Cases(spoil=3) as cases:
        for seed in range(1000, 1200):
            g = rg.draw(seed, SAMPLERS, single=True)
            text = g and rg.survives(cases, g)
            assert not text, f"seed {seed}: {text}"


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_operator(name):
    """At least one graph of this operator alone that onnxruntime takes, and the engine answers alike."""
    taken = 0
    with rg.Cases() as cases:
        for seed in range(400):
            g = rg.draw(seed, SAMPLERS, [name], single=True)
            if g is None:
                continue
            text = rg.check(cases, g)
            assert not text, f"seed {seed} opset {g.opset}: {text}"
            taken += 1
            if taken == 3:
                return
    assert taken, "onnxruntime took none of 400"
