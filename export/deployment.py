"""Makes the texts that start TensorFlow Serving on exports: a docker command and a Kubernetes manifest.

The container reads the exports and models.config in /models, and the files of the kit in /config. Both are mounted
read-only.
"""

import os
import shlex
import string

from ltgans_tf.export import serving_config

TAG = "2.21.0"  # the TensorFlow that wrote the exports; `latest` would change without notice
GRPC_PORT, REST_PORT = 8500, 8501  # defaults of the image
CLAIM = "ltgans-models"
_MODELS, _CONFIG = "/models", "/config"
_POLL_SECONDS = 30


def docker_command(base, out=None, tag=TAG, batching=True):
    """Returns the docker command that serves the exports in `base`, one flag per line.

    Args:
      base: folder with models.config and the folders of the kinds.
      out: folder with batching.config and monitoring.config; None for `base`.
      tag: tag of the image tensorflow/serving.
      batching: whether the server batches requests.

    Raises:
      ValueError: docker cannot mount one of the folders.
    """
    mounts = {_MODELS: os.path.abspath(base), _CONFIG: os.path.abspath(out or base)}
    for source in mounts.values():
        if "," in source:
            raise ValueError(f"docker cannot mount {source}; give a folder without a comma in its name.")
    words = [
        f"docker run --rm -p {REST_PORT}:{REST_PORT} -p {GRPC_PORT}:{GRPC_PORT}",
        *(
            "--mount " + shlex.quote(f"type=bind,source={source},target={target},readonly")
            for target, source in mounts.items()
        ),
        f"tensorflow/serving:{tag}",
        *server_flags(batching),
    ]
    return " \\\n    ".join(words)


def server_flags(batching=True):
    """Returns the flags of tensorflow_model_server, the same for docker and Kubernetes."""
    flags = [
        f"--model_config_file={_MODELS}/models.config",
        f"--model_config_file_poll_wait_seconds={_POLL_SECONDS}",
        # At its start the server has loaded nothing, and would refuse every label without this flag.
        "--allow_version_labels_for_unavailable_models=true",
        f"--monitoring_config_file={_CONFIG}/monitoring.config",
    ]
    if batching:
        flags += ["--enable_batching=true", f"--batching_parameters_file={_CONFIG}/batching.config"]
    return flags


def kubernetes_manifest(claim=CLAIM, tag=TAG, batching=True):
    """Returns YAML: a ConfigMap with the two files, a Deployment and a Service.

    Args:
      claim: PersistentVolumeClaim on a volume that holds a copy of the exports.
      tag: tag of the image tensorflow/serving.
      batching: whether the server batches requests.
    """
    return string.Template(_MANIFEST).substitute(
        batching=_indented(serving_config.batching_config(), 4),
        monitoring=_indented(serving_config.monitoring_config(), 4),
        flags=_indented("".join(f"- {flag}\n" for flag in server_flags(batching)), 12),
        claim=claim,
        tag=tag,
        grpc=GRPC_PORT,
        rest=REST_PORT,
        models=_MODELS,
        config=_CONFIG,
    )


# The liveness probe only opens the port: a busy server answers late, and must not be killed for it.
# The server opens its ports once it has loaded the models; the startup probe allows 5 minutes for that.
_MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: ltgans-serving
data:
  batching.config: |
$batching
  monitoring.config: |
$monitoring
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ltgans-serving
spec:
  replicas: 1
  selector:
    matchLabels:
      app: ltgans-serving
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      labels:
        app: ltgans-serving
    spec:
      containers:
        - name: serving
          image: tensorflow/serving:$tag
          args:
$flags
          ports:
            - name: grpc
              containerPort: $grpc
            - name: rest
              containerPort: $rest
          startupProbe:
            httpGet:
              path: /v1/models/generator
              port: rest
            periodSeconds: 5
            failureThreshold: 60
          readinessProbe:
            httpGet:
              path: /v1/models/generator
              port: rest
            periodSeconds: 10
          livenessProbe:
            tcpSocket:
              port: grpc
            periodSeconds: 20
          resources:
            requests:
              cpu: "1"
              memory: 2Gi
            limits:
              memory: 4Gi
          volumeMounts:
            - name: models
              mountPath: $models
              readOnly: true
            - name: config
              mountPath: $config
              readOnly: true
      volumes:
        - name: models
          persistentVolumeClaim:
            claimName: $claim
            readOnly: true
        - name: config
          configMap:
            name: ltgans-serving
---
apiVersion: v1
kind: Service
metadata:
  name: ltgans-serving
spec:
  selector:
    app: ltgans-serving
  ports:
    - name: grpc
      port: $grpc
      targetPort: grpc
    - name: rest
      port: $rest
      targetPort: rest
"""


def _indented(text, depth):
    return "\n".join(" " * depth + line for line in text.splitlines())
