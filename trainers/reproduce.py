"""Trains all runs that one table or figure of the paper needs, and makes tables and charts of them.

  ltgans reproduce --experiment=table1_msfo_cpu --seeds=3 --data_dir=DATA

Each run is a separate `ltgans train` in OUT/EXPERIMENT/LABEL/seed_N. Its scores go into the results as it
ends; if its folder is lost, they are read from there. The same command continues after a crash, and with
more seeds it adds runs to those that are there. The first seed of all methods comes first.
"""

import os
import sys

from absl import flags

from ltgans_tf import trainers
from ltgans_tf.data import specs
from ltgans_tf.evaluation import scores
from ltgans_tf.export import path_flags
from ltgans_tf.settings import experiments, presets
from ltgans_tf.trainers import jobs, processes
from ltgans_tf.trainers.reporting import phrases, records, results


def main(argv):
    """Does what the flags ask for; returns the exit status."""
    del argv
    given = flags.FLAGS
    return reproduce(
        given.experiment,
        given.out,
        given.seeds,
        given.data_dir,
        given.methods,
        given.steps_per_task,
        given.jobs,
        given.dry_run,
        given.first_seed,
        given.results,
    )


def reproduce(
    name,
    out,
    seeds=None,
    data_dir=None,
    methods=None,
    steps_per_task=None,
    side_by_side=1,
    dry_run=False,
    first_seed=0,
    results_folder=None,
):
    """Trains the runs of an experiment that are not finished, and writes its results; prints what happens.

    Args:
      name: key in `experiments.EXPERIMENTS`.
      out: folder of all experiments.
      seeds: how many; None for as many as the experiment needs.
      data_dir, methods, steps_per_task, first_seed: see `plan`.
      side_by_side: runs at a time.
      dry_run: whether only to print what would be run.
      results_folder: folder for results files apart from the runs, or None.

    Returns:
      the exit status: 0, 1 if a run failed, or 128 + the number of the signal that ended the program.

    Raises:
      ValueError: an unknown name, data that are not available, more runs at a time than cores.
    """
    experiment = experiments.experiment(name)
    folder = os.path.join(out, experiment.preset)
    seeds = experiment.seeds if seeds is None else seeds
    planned = plan(experiment, folder, seeds, data_dir, methods, steps_per_task, first_seed)
    kept = records.read(results.paths(experiment, folder, results_folder), planned)
    kept |= {(job.label, job.seed): records.of(job, experiment) for job in planned if job.is_finished()}
    todo = [job for job in planned if (job.label, job.seed) not in kept]
    if todo:
        check_data(experiment, data_dir)
    jobs.share_cores(processes.cores(), side_by_side)
    print(_opening(experiment, folder, planned, todo), flush=True)
    if dry_run:
        print("\n".join(f"  {job.name}: {_state(job, kept)}" for job in planned))
        return 0

    def write(charts):
        return results.write(
            experiment, folder, list(kept.values()), data_dir, _command(), results_folder, charts
        )

    def ended(job):
        kept[job.label, job.seed] = records.of(job, experiment)
        write(charts=False)

    here = [job for job in planned if job in todo or job.is_finished()]
    failed, number = jobs.run(here, side_by_side, lambda line: print(line, flush=True), ended)
    if number is not None:
        print(f"stopped, states saved; to go on:\n  {_command()}")
        return 128 + number
    if kept:
        print(write(charts=True))
    for job, why in failed.items():
        print(f"failed: {job.name} ({why}); see {job.log}", file=sys.stderr)
    return 1 if failed else 0


def plan(experiment, folder, seeds, data_dir=None, methods=None, steps_per_task=None, first_seed=0):
    """Returns the runs of an experiment, the first seed of all methods first: list of `jobs.Job`.

    Args:
      experiment: an `experiments.Experiment`.
      folder: folder for the workdirs.
      seeds: number of seeds, from `first_seed` on.
      data_dir: folder whose <name>.npz files stand for data sets, or None.
      methods: labels or methods of the wanted runs; None for all.
      steps_per_task: number in place of the preset's, or None.

    Raises:
      ValueError: a label that the experiment does not have.
    """
    common = [f"--preset={experiment.preset}"]
    common += [f"--data_dir={data_dir}"] * bool(data_dir)
    common += [f"--steps_per_task={steps_per_task}"] * bool(steps_per_task)
    common += ["--tuning"] * experiment.tuning
    common += [f"--extractor_seed={','.join(map(str, scores.EXTRACTOR_SEEDS))}"] * bool(experiment.endpoints)
    preset = presets.preset(experiment.preset)
    tasks = len(preset.tasks_with(data_dir))

    def own(name, value):
        """Returns a flag of a run; its own steps_per_task keeps the ratio to the preset's."""
        steps = name == "steps_per_task" and steps_per_task
        return f"--{name}={value * steps // preset.steps_per_task if steps else value}"

    return [
        jobs.Job(
            run.label,
            seed,
            os.path.join(folder, run.label, f"seed_{seed}"),
            (
                *common,
                f"--method={run.method}",
                *(own(name, value) for name, value in run.flags),
                f"--seed={seed}",
            ),
            tasks,
        )
        for seed in range(first_seed, first_seed + seeds)
        for run in _chosen(experiment.runs, methods)
    ]


def _chosen(runs, methods):
    if methods is None:
        return runs
    there = {name for run in runs for name in (run.label, run.method)}
    if unknown := [name for name in methods if name not in there]:
        labels = ", ".join(run.label for run in runs)
        raise ValueError(f"--methods has {unknown[0]!r}; this experiment has {labels}.")
    return [run for run in runs if run.label in methods or run.method in methods]


def check_data(experiment, data_dir):
    """Checks by name and path whether the data are available; otherwise a ValueError says what to do."""
    if data_dir and not os.path.isdir(os.path.expanduser(data_dir)):
        raise ValueError(f"there is no folder {data_dir}; --data_dir names one with <name>.npz files.")
    for spec in presets.preset(experiment.preset).tasks_with(data_dir):
        specs.check(spec, data_dir)


def _opening(experiment, folder, planned, todo):
    done = len(planned) - len(todo)
    return (
        f"{experiment.title}: {phrases.count(planned, 'run')}, {done} finished before; what each says is in"
        f" {os.path.join(folder, 'LABEL', 'seed_N.log')}"
    )


def _state(job, kept):
    if record := kept.get((job.label, job.seed)):
        return f"finished in {jobs.duration(record['seconds'])}"
    begun = f"begun ({jobs.duration(job.seconds)} so far): " if job.seconds else ""
    return begun + path_flags.command("ltgans train", *job.command[3:])


def _command():
    """Returns this program's command line as a user would write it."""
    return path_flags.command("ltgans reproduce", *sys.argv[1:])


if __name__ == "__main__":
    flags.DEFINE_string(
        "experiment", None, f"What to reproduce: {', '.join(experiments.EXPERIMENTS)}.", required=True
    )
    flags.DEFINE_integer(
        "seeds", None, "How many seeds; by default six where something is claimed, else three.", 1
    )
    flags.DEFINE_integer("first_seed", 0, "The first of them: seeds that no setting was chosen with.", 0)
    path_flags.define_path("data_dir", None, "Folder whose <name>.npz files stand for data sets.")
    path_flags.define_path("out", "runs/reproduce", "Folder of all experiments.")
    path_flags.define_path(
        "results",
        None,
        "Folder where EXPERIMENT.json and .md go too, as each run ends: docs/results for one.",
    )
    flags.DEFINE_list("methods", None, "Only these of the experiment's runs, by label or method.")
    flags.DEFINE_integer("jobs", 1, "Runs side by side; they share this process's cores.", 1)
    flags.DEFINE_bool("dry_run", False, "Print the runs and their commands; train nothing.")
    flags.DEFINE_integer("steps_per_task", None, "In place of the preset's, for a trial.", 1)
    trainers.run(main)
