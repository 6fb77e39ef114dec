# SPDX-License-Identifier: Apache-2.0
"""The files that tensorflow-protobuf lacks: error codes and the server's configuration. Import before its stubs."""

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


def message(file, name, *fields):
    made = file.message_type.add(name=name)
    for one in fields:
        field(made, *one)
    return made


def policy():
    """The part of file_system_storage_path_source.proto that a model's configuration holds."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/sources/storage_path/file_system_storage_path_source.proto", package="tensorflow.serving", syntax="proto3"
    )
    source = message(file, "FileSystemStoragePathSourceConfig")
    choice = source.nested_type.add(name="ServableVersionPolicy")
    choice.oneof_decl.add(name="policy_choice")
    inside = ".tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy."
    for number, name in enumerate(("Latest", "All", "Specific"), 100):
        kind = choice.nested_type.add(name=name)
        choice.field.add(name=name.lower(), number=number, type=F.TYPE_MESSAGE, type_name=inside + name, label=F.LABEL_OPTIONAL, oneof_index=0)
        if name == "Latest":
            field(kind, "num_versions", 1, F.TYPE_UINT32)
        if name == "Specific":
            field(kind, "versions", 1, F.TYPE_INT64, True)
    return file


def config():
    path = "tensorflow_serving/sources/storage_path/file_system_storage_path_source.proto"
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/config/model_server_config.proto", package="tensorflow.serving", syntax="proto3", dependency=[path]
    )
    kind = ".tensorflow.serving.ModelConfig"
    one = message(
        file, "ModelConfig", ("name", 1, F.TYPE_STRING), ("base_path", 2, F.TYPE_STRING), ("model_platform", 4, F.TYPE_STRING),
        ("model_version_policy", 7, F.TYPE_MESSAGE, False, ".tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy"),
        ("version_labels", 8, F.TYPE_MESSAGE, True, kind + ".VersionLabelsEntry"),
    )  # fmt: skip
    entry = one.nested_type.add(name="VersionLabelsEntry")
    entry.options.map_entry = True
    field(entry, "key", 1, F.TYPE_STRING)
    field(entry, "value", 2, F.TYPE_INT64)
    message(file, "ModelConfigList", ("config", 1, F.TYPE_MESSAGE, True, kind))
    message(file, "ModelServerConfig", ("model_config_list", 1, F.TYPE_MESSAGE, False, ".tensorflow.serving.ModelConfigList"))
    return file


def logging():
    """The part of logging_config.proto that a log's metadata holds."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/config/logging_config.proto", package="tensorflow.serving", syntax="proto3"
    )
    message(file, "SamplingConfig", ("sampling_rate", 1, F.TYPE_DOUBLE))
    return file


if "tensorflow.tsl" not in sys.modules:
    import tensorflow
    import tensorflow_serving  # noqa: F401

    register("tensorflow.tsl.protobuf.error_codes_pb2", codes())
    register("tensorflow_serving.sources.storage_path.file_system_storage_path_source_pb2", policy())
    register("tensorflow_serving.config.model_server_config_pb2", config())
    register("tensorflow_serving.config.logging_config_pb2", logging())
