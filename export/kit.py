"""Writes what an operator needs to serve exports with TensorFlow Serving, and says how to start it.

  python -m export.kit --base=runs/demo/exports

writes batching.config, monitoring.config and kubernetes.yaml, anew each time, and prints the docker
command. models.config is written by each push; here it is written anew where it is not what latest.json says.
"""

import os

from absl import flags

from export import deployment, desired, path_flags, program, rebuild, serving_config, versions


def write(base, out=None, batching=True):
    """Writes the kit for the exports in `base`.

    Args:
      base: folder that a push wrote to.
      out: folder to write to, made if it does not exist; None for `base`.
      batching: whether the server runs requests together.

    Returns:
      what was written and the next commands, in a few lines.

    Raises:
      ValueError: nothing was pushed to `base`, or docker could not mount it.
      OSError: the kit could not be written.
    """
    latest = versions.read_latest(base)
    rebuild.check(base, latest)
    if "version" not in latest:
        raise ValueError(
            f"{base} has no version that is served, so there is nothing to serve; push a run there with:"
            f" {path_flags.command('python -m export.push', '--workdir=...', f'--base={base}')}"
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
    os.makedirs(out, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            f.write(text)
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
