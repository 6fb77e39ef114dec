# SPDX-License-Identifier: Apache-2.0
"""Writes the ONNX backend tests of the installed onnx package as files, for onnx_cases.c.

    python3 dump_onnx_nodes.py FOLDER

FOLDER/KIND/NAME/model.onnx, input_N.pb and output_N.pb. A value that is not a tensor has its kind in the name:
input_0.sequence.pb, output_0.optional.pb. KIND is node, simple, pytorch-operator, pytorch-converted or light. The node
tests exist only in memory (onnx.backend.test.loader); the others are files of the package. FOLDER/DONE names the onnx
version last: a folder that has it is complete, and is left alone when the version is the same.
"""
import pathlib
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests


def write(path, value, type_proto):
    """One value of a data set, as the proto that its declared type asks for."""
    kind = type_proto.WhichOneof("value")
    if isinstance(value, onnx.TensorProto):
        path.with_suffix(".pb").write_bytes(value.SerializeToString())
    elif kind == "sequence_type":
        path.with_suffix(".sequence.pb").write_bytes(numpy_helper.from_list(value).SerializeToString())
    elif kind == "optional_type":
        path.with_suffix(".optional.pb").write_bytes(numpy_helper.from_optional(value).SerializeToString())
    else:
        path.with_suffix(".pb").write_bytes(numpy_helper.from_array(np.asarray(value)).SerializeToString())


def dump_in_memory(case, folder):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    inputs, outputs = case.data_sets[0]
    for n, (value, info) in enumerate(zip(inputs, case.model.graph.input)):
        write(folder / f"input_{n}", value, info.type)
    for n, (value, info) in enumerate(zip(outputs, case.model.graph.output)):
        write(folder / f"output_{n}", value, info.type)


def dump_files(case, folder):
    folder.mkdir(parents=True)
    source = pathlib.Path(case.model_dir)
    model = onnx.load(source / "model.onnx")
    shutil.copyfile(source / "model.onnx", folder / "model.onnx")
    types = {"input": model.graph.input, "output": model.graph.output}
    for file in sorted((source / "test_data_set_0").glob("*.pb")):
        side, number = file.stem.split("_")
        kind = types[side][int(number)].type.WhichOneof("value").removesuffix("_type")
        ending = ".pb" if kind == "tensor" else f".{kind}.pb"
        shutil.copyfile(file, folder / (file.stem + ending))


def dump_light(case, folder):
    """Inputs are a ramp from 0 to 1, as onnx/backend/test/runner makes them."""
    folder.mkdir(parents=True)
    source = pathlib.Path(onnx.__file__).parent / "backend/test/data/light" / pathlib.Path(case.url).name
    model = onnx.load(source)
    shutil.copyfile(source, folder / "model.onnx")
    made = {i.name for i in model.graph.initializer}
    for n, info in enumerate(i for i in model.graph.input if i.name not in made):
        shape = [d.dim_value or 1 for d in info.type.tensor_type.shape.dim]
        count = int(np.prod(shape))
        value = (np.arange(count).reshape(shape) / count).astype(np.float32)
        write(folder / f"input_{n}", value, info.type)
    for n in range(len(model.graph.output)):
        shutil.copyfile(source.with_name(f"{source.stem}_output_{n}.pb"), folder / f"output_{n}.pb")


def main():
    folder = pathlib.Path(sys.argv[1])
    done = folder / "DONE"
    if done.exists() and done.read_text() == onnx.__version__:
        return
    shutil.rmtree(folder, ignore_errors=True)
    warnings.simplefilter("ignore")  # the cases divide by zero on purpose
    for kind in ("node", "simple", "pytorch-operator", "pytorch-converted"):
        for case in load_model_tests(kind=kind):
            dump = dump_files if case.model_dir else dump_in_memory
            dump(case, folder / kind / case.name)
    for case in load_model_tests(kind="real"):
        if "/light/" in case.url:
            dump_light(case, folder / "light" / case.name)
    done.write_text(onnx.__version__)


main()
