"""The docker command and the Kubernetes manifest, taken apart and checked."""

import re
import shlex

import pytest

from ltgans_tf.export import deployment, serving_config

FLAGS = {
    "--model_config_file": "/models/models.config",
    "--model_config_file_poll_wait_seconds": "30",
    "--allow_version_labels_for_unavailable_models": "true",
    "--monitoring_config_file": "/config/monitoring.config",
    "--enable_batching": "true",
    "--batching_parameters_file": "/config/batching.config",
}
BATCHING = {"--enable_batching", "--batching_parameters_file"}


def _read_yaml(text):
    """Reads the part of YAML that the manifest is written in; anything else fails."""
    return [_block(document.splitlines()) for document in text.split("---\n")]


def _block(lines):
    """Takes the block that `lines` begin with off them: a list, a dict or a scalar."""
    depth = _depth(lines[0])
    if lines[0].lstrip().startswith("- "):
        items = []
        while lines and _depth(lines[0]) == depth and lines[0].lstrip().startswith("- "):
            lines[0] = lines[0].replace("- ", "  ", 1)
            items.append(_block(lines))
        return items
    if not re.fullmatch(r" *[\w./-]+:( .*)?", lines[0]):
        return _scalar(lines.pop(0).strip())
    found = {}
    while lines and _depth(lines[0]) == depth:
        key, value = re.fullmatch(r" *([\w./-]+):(?: (.+))?", lines.pop(0)).groups()
        assert key not in found
        deeper = lines and _depth(lines[0]) >= depth
        if value == "|":
            found[key] = _literal(lines, depth + 2)
        else:
            assert value or deeper, key
            found[key] = _scalar(value) if value else _block(lines)
    assert not lines or _depth(lines[0]) < depth, lines[0]
    return found


def _depth(line):
    return len(line) - len(line.lstrip())


def _literal(lines, depth):
    taken = []
    while lines and _depth(lines[0]) >= depth:
        taken.append(lines.pop(0)[depth:])
    return "".join(f"{line}\n" for line in taken)


def _scalar(text):
    if text in ("true", "false"):
        return text == "true"
    if text.startswith('"'):
        return text[1:-1]
    assert re.match(r"[\w/-]", text) and ": " not in text and " #" not in text, text
    return int(text) if text.isdigit() else text


def _docker(*args, **kwargs):
    """Returns the words of the docker command: its options, the image, and the server's flags."""
    words = shlex.split(deployment.docker_command(*args, **kwargs).replace("\\\n", " "))
    (image,) = [word for word in words if word.startswith("tensorflow/serving")]
    at = words.index(image)
    return words[:at], image, dict(word.split("=", 1) for word in words[at + 1 :])


def test_docker_command_mounts_both_folders_read_only_and_opens_both_ports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options, image, flags = _docker("a run/exports", "kit")
    assert options == [
        *("docker", "run", "--rm", "-p", "8501:8501", "-p", "8500:8500"),
        *("--mount", f"type=bind,source={tmp_path}/a run/exports,target=/models,readonly"),
        *("--mount", f"type=bind,source={tmp_path}/kit,target=/config,readonly"),
    ]
    assert image == f"tensorflow/serving:{deployment.TAG}"
    assert flags == FLAGS


def test_docker_command_finds_the_kit_beside_the_exports_and_takes_another_tag():
    options, image, _ = _docker("/exports", tag="2.19.1")
    assert options[-1] == "type=bind,source=/exports,target=/config,readonly"
    assert image == "tensorflow/serving:2.19.1"


def test_tag_is_fixed():
    assert re.fullmatch(r"\d+\.\d+\.\d+", deployment.TAG)


def test_folder_that_docker_cannot_mount_is_refused():
    with pytest.raises(ValueError, match="cannot mount /a,b"):
        deployment.docker_command("/a,b")


def test_without_batching_no_flag_of_it_is_left():
    # The server refuses the file without the switch.
    _, _, flags = _docker("/exports", batching=False)
    assert flags == {flag: value for flag, value in FLAGS.items() if flag not in BATCHING}
    assert deployment.server_flags(batching=False) == [f"{flag}={value}" for flag, value in flags.items()]


@pytest.fixture
def manifest():
    """The three objects of the manifest."""
    config, deployed, service = _read_yaml(deployment.kubernetes_manifest("my-claim", "2.19.1"))
    kinds = [(item["apiVersion"], item["kind"]) for item in (config, deployed, service)]
    assert kinds == [("v1", "ConfigMap"), ("apps/v1", "Deployment"), ("v1", "Service")]
    return config, deployed["spec"], service["spec"]


def test_container_gets_the_flags_and_folders_of_docker(manifest):
    config, spec, _ = manifest
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "tensorflow/serving:2.19.1"
    assert dict(word.split("=", 1) for word in container["args"]) == FLAGS
    mounts = {mount["name"]: (mount["mountPath"], mount["readOnly"]) for mount in container["volumeMounts"]}
    assert mounts == {"models": ("/models", True), "config": ("/config", True)}
    assert pod["volumes"] == [
        {"name": "models", "persistentVolumeClaim": {"claimName": "my-claim", "readOnly": True}},
        {"name": "config", "configMap": {"name": config["metadata"]["name"]}},
    ]
    assert config["data"] == {
        "batching.config": serving_config.batching_config(),
        "monitoring.config": serving_config.monitoring_config(),
    }


def test_pod_counts_once_the_generator_answers_and_is_not_killed_for_being_busy(manifest):
    _, spec, _ = manifest
    (container,) = spec["template"]["spec"]["containers"]
    asks = {"path": "/v1/models/generator", "port": "rest"}
    assert container["readinessProbe"]["httpGet"] == container["startupProbe"]["httpGet"] == asks
    assert container["livenessProbe"]["tcpSocket"] == {"port": "grpc"}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 300
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"memory"}


def test_service_reaches_the_pods_and_an_update_leaves_one_up(manifest):
    _, spec, service = manifest
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == service["selector"] == labels == {"app": "ltgans-serving"}
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    (container,) = spec["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == ports


def test_manifest_without_batching_has_no_flag_of_it():
    _, deployed, _ = _read_yaml(deployment.kubernetes_manifest(batching=False))
    (container,) = deployed["spec"]["template"]["spec"]["containers"]
    assert not BATCHING & {word.partition("=")[0] for word in container["args"]}
