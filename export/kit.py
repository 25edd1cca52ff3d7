"""Writes the files that an operator needs to serve exports with TensorFlow Serving.

  ltgans serve-kit --base=runs/demo/exports

writes batching.config, monitoring.config and kubernetes.yaml, and prints the docker command that starts the
server. Each push writes models.config; the kit repairs it if it is not current.
"""

import os

from absl import flags

from ltgans_tf.export import deployment, desired, path_flags, program, rebuild, serving_config, versions
from ltgans_tf.files import atomic


def write(base, out=None, batching=True):
    """Writes the kit for the exports in `base`.

    Args:
      base: folder that a push wrote to.
      out: folder to write to, made if it does not exist; None for `base`.
      batching: whether the server batches requests.

    Returns:
      a few lines: the files and the next commands.

    Raises:
      ValueError: `base` has no served version, or docker could not mount it.
      OSError: a file could not be written.
    """
    latest = versions.read_latest(base)
    rebuild.check(base, latest)
    if "version" not in latest:
        raise ValueError(
            f"{base} has no version that is served, so there is nothing to serve; push a run there with:"
            f" {path_flags.command('ltgans push', '--workdir=...', f'--base={base}')}"
        )
    note = ""
    if not desired.is_current(base):
        with versions.lock(base):
            desired.reconcile(base)
        note = f"note: {desired.CONFIG} was not what latest.json says; it was written anew.\n"
    out = out or base
    command = deployment.docker_command(base, out, batching=batching)
    files = {
        "batching.config": serving_config.batching_config(),
        "monitoring.config": serving_config.monitoring_config(),
        "kubernetes.yaml": deployment.kubernetes_manifest(batching=batching),
    }
    for name, text in files.items():
        atomic.write_text(os.path.join(out, name), text)
    return (
        f"{note}Wrote {', '.join(files)} to {out}. Serve with:\n\n{command}\n\nand ask whether it is up with:"
        f" curl http://localhost:{deployment.REST_PORT}/v1/models/generator"
    )


def main(argv):
    """Writes the kit that the flags ask for."""
    del argv
    given = flags.FLAGS
    print(write(given.base, given.out, given.batching))


if __name__ == "__main__":
    path_flags.define_path("base", None, "Folder that a push wrote to.", required=True)
    path_flags.define_path("out", None, "Folder to write the kit to; by default that of --base.")
    flags.DEFINE_bool("batching", True, "Whether the server runs requests of several clients together.")
    program.run(main)
