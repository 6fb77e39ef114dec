# SPDX-License-Identifier: Apache-2.0
"""The two files that tensorflow-protobuf lacks: error codes and the server's configuration. Import before its stubs."""

import sys
import types

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.internal import builder

CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()
F = descriptor_pb2.FieldDescriptorProto


def register(module, file):
    descriptor = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    made = types.ModuleType(module)
    builder.BuildMessageAndEnumDescriptors(descriptor, vars(made))
    builder.BuildTopDescriptorsAndMessages(descriptor, module, vars(made))
    made.DESCRIPTOR = descriptor
    parent, _, name = module.rpartition(".")
    for path in (parent.rpartition(".")[0], parent):
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
    sys.modules[module] = made
    setattr(sys.modules[parent], name, made)


def field(message, name, number, kind, repeated=False, of=None):
    message.field.add(
        name=name, number=number, type=kind, type_name=of, label=F.LABEL_REPEATED if repeated else F.LABEL_OPTIONAL
    )


def codes():
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow/tsl/protobuf/error_codes.proto", package="tensorflow.error", syntax="proto3"
    )
    code = file.enum_type.add(name="Code")
    for number, name in enumerate(CODES):
        code.value.add(name=name, number=number)
    return file


def config():
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/config/model_server_config.proto", package="tensorflow.serving", syntax="proto3"
    )
    one = file.message_type.add(name="ModelConfig")
    field(one, "name", 1, F.TYPE_STRING)
    field(one, "base_path", 2, F.TYPE_STRING)
    field(one, "model_platform", 4, F.TYPE_STRING)
    several = file.message_type.add(name="ModelConfigList")
    field(several, "config", 1, F.TYPE_MESSAGE, True, ".tensorflow.serving.ModelConfig")
    server = file.message_type.add(name="ModelServerConfig")
    field(server, "model_config_list", 1, F.TYPE_MESSAGE, False, ".tensorflow.serving.ModelConfigList")
    return file


if "tensorflow.tsl" not in sys.modules:
    import tensorflow
    import tensorflow_serving  # noqa: F401

    register("tensorflow.tsl.protobuf.error_codes_pb2", codes())
    register("tensorflow_serving.config.model_server_config_pb2", config())
