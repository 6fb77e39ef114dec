"""The memory of a run: what the plan foretells, what the run counts, and what the heap of the whole process grows by."""

import os
import shutil
import subprocess

import pytest

from engine import ROOT, Engine
from test_equivalence import INPUTS, f32, path

# Why the heap may grow by more than the plan says: a new slab is rounded up by an eighth at most (plan/slabs.c); one of 2 MiB or more
# begins at, and ends with, a page of 2 MiB; a run's lists of tensors and oneDNN's headers lie beside it.
GROWTH, HUGE, BESIDE, HEADERS = 9 / 8, 2 << 20, 1 << 19, 1 << 14


def most(planned):
    return GROWTH * planned + (2 * HUGE if planned >= HUGE else 0) + BESIDE


# More shapes of the same session: each is foretold for itself.
SHAPES = {
    "ocr_rec": [[f32(1, 3, 48, w)] for w in (64, 320, 200, 640)],
    "ocr_det": [[f32(1, 3, h, w)] for h, w in ((320, 320), (96, 640))],
    "nudenet": [[f32(n, 3, 320, 320)] for n in (1, 4)],
    "ocr_cls": [[f32(n, 3, 48, 192)] for n in (1, 6, 3)],
    "mlp": [[f32(n, 4)] for n in (1, 1000, 100000)],
}


@pytest.fixture(scope="session")
def preload(tmp_path_factory):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler to build the counter with")
    library = str(tmp_path_factory.mktemp("count") / "count.so")
    source = os.path.join(ROOT, "tests", "clients", "alloc_count.c")
    subprocess.run([compiler, "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", INPUTS)
def test_foretold_is_measured(name, threads, preload):
    with Engine(path(name), threads=threads, preload=preload) as engine:
        for turn, inputs in enumerate([INPUTS[name], *SHAPES.get(name, [])]):
            needs = engine.needs(inputs)
            assert needs["alive"] <= needs["planned"] <= needs["alive"] * 1.25, "the placing wastes"
            if needs["late"]:  # an If: its branch is planned, and gets memory, when it first runs
                assert needs["measured"] > needs["planned"]
                continue
            assert needs["measured"] == needs["planned"]
            assert needs["heap"] <= most(needs["planned"])
            if turn == 0:  # later ones find a slab, or one goes
                assert needs["heap"] >= needs["planned"]


@pytest.mark.parametrize("name", ["ocr_rec", "silero"])
def test_the_second_run_takes_nothing(name, preload):
    with Engine(path(name), preload=preload) as engine:
        first = engine.needs(INPUTS[name])
        assert first["heap"] > 0
        second = engine.needs(INPUTS[name])
        assert second["measured"] == first["measured"]
        assert second["heap"] <= HEADERS
