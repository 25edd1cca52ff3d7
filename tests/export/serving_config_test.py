"""What the server reads, parsed by TensorFlow Serving's messages and checked field by field."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from ltgans_tf.export import serving_config

# The messages that tensorflow-serving-api leaves out, by the field names and types of TensorFlow
# Serving's session_bundle_config.proto and monitoring_config.proto. Text has no use for the numbers.
INT64, BOOL, STRING = ".google.protobuf.Int64Value", ".google.protobuf.BoolValue", "string"
MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": INT64,
        "batch_timeout_micros": INT64,
        "max_enqueued_batches": INT64,
        "num_batch_threads": INT64,
        "enable_large_batch_splitting": BOOL,
        "max_execution_batch_size": INT64,
    },
    "PrometheusConfig": {"enable": "bool", "path": STRING},
    "MonitoringConfig": {"prometheus_config": ".serving.PrometheusConfig"},
}
LABELS = {"stable": 12, "canary": None}


def _parse(text, name):
    """Parses text as one of MESSAGES; an unknown field or a wrong type is a ParseError."""
    file = descriptor_pb2.FileDescriptorProto(
        name="serving.proto", package="serving", syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for number, (field, kind) in enumerate(fields.items(), 1):
            one = described.field.add(name=field, number=number, label="LABEL_OPTIONAL")
            if kind.startswith("."):
                one.type, one.type_name = one.TYPE_MESSAGE, kind
            else:
                one.type = one.TYPE_BOOL if kind == "bool" else one.TYPE_STRING
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"serving.{name}"))
    return text_format.Parse(text, made())


def _models(*args, **kwargs):
    text = serving_config.models_config(*args, **kwargs)
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config


def test_each_kind_is_a_model_with_all_its_versions_and_labels():
    versions = {"generator": [12, 1795448201, 9], "encoder": [12, 1795448201]}
    models = _models(versions, {"stable": 12, "canary": 1795448201})
    assert [model.name for model in models] == ["generator", "encoder"]
    for model in models:
        assert model.base_path == f"/models/{model.name}"
        assert model.model_platform == "tensorflow"
        policy = model.model_version_policy
        assert policy.WhichOneof("policy_choice") == "specific"
        assert list(policy.specific.versions) == sorted(versions[model.name])
        assert dict(model.version_labels) == {"stable": 12, "canary": 1795448201}


def test_without_canary_and_encoder_neither_is_named():
    (model,) = _models({"generator": [12]}, {"stable": 12})
    assert (model.name, dict(model.version_labels)) == ("generator", {"stable": 12})
    assert list(_models({"generator": [12]}, LABELS)) == [model]


@pytest.mark.parametrize("root", ["gs://bucket/a b", '/srv/"quoted"\\é'])
def test_root_goes_before_the_kind_whatever_it_holds(root):
    (model,) = _models({"generator": [12]}, LABELS, root=root)
    assert model.base_path == f"{root}/generator"


@pytest.mark.parametrize(
    ("versions", "labels", "message"),
    [
        ({}, LABELS, "no versions to serve"),
        ({"generator": [12], "encoder": []}, LABELS, "no versions of the encoder"),
        ({"generator": [12]}, {"stable": 13}, r"stable names version 13, .* generator to serve, \[12\]"),
        ({"generator": [12]}, {"stable": 12, "canary": 13}, "canary names version 13"),
        ({"generator": [12], "encoder": [11]}, LABELS, r"stable names version 12, .* encoder .*\[11\]"),
        ({"generator": [11], "encoder": [12]}, LABELS, r"stable names version 12, .* generator .*\[11\]"),
        ({"generator": [12]}, {"stable": None, "canary": 12}, "no version is labelled stable"),
    ],
)
def test_labels_without_their_version_are_refused(versions, labels, message):
    with pytest.raises(ValueError, match=message):
        serving_config.models_config(versions, labels)


def test_batching_parameters_have_the_fields_of_the_server():
    parsed = _parse(
        serving_config.batching_config(
            max_batch_size=96,
            max_execution_batch_size=32,
            batch_timeout_micros=0,
            num_batch_threads=3,
            max_enqueued_batches=7,
        ),
        "BatchingParameters",
    )
    assert {field.name: value.value for field, value in parsed.ListFields()} == {
        "max_batch_size": 96,
        "max_execution_batch_size": 32,
        "batch_timeout_micros": 0,
        "num_batch_threads": 3,
        "max_enqueued_batches": 7,
        "enable_large_batch_splitting": True,
    }


def test_largest_request_fits_into_the_default_queue():
    parsed = _parse(serving_config.batching_config(), "BatchingParameters")
    batches = parsed.max_batch_size.value / parsed.max_execution_batch_size.value
    assert 1 <= batches <= parsed.max_enqueued_batches.value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_batch_threads": 0}, r"\(1024, 64, 0, 100\)"),
        ({"batch_timeout_micros": -1}, "timeout -1"),
        ({"max_batch_size": 32}, "is 64, above max_batch_size 32"),
    ],
)
def test_batching_parameters_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        serving_config.batching_config(**settings)


def test_metrics_are_on_at_their_usual_path():
    config = _parse(serving_config.monitoring_config(), "MonitoringConfig").prometheus_config
    assert config.enable and config.path == "/monitoring/prometheus/metrics"
