"""What goes into the pictures of a run, with a model whose codes are the mean colours of images."""

import json
import os
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ltgans_tf.data import images
from ltgans_tf.evaluation import row as row_lib
from ltgans_tf.figures import charts, run_figures, sheets, training_curves
from ltgans_tf.networks import sampling


class _Student:
    """The code of an image is its mean colour; a code is decoded to an image of that colour."""

    code_dim = 3

    def encode(self, batch):
        mean = tf.reduce_mean(batch, [1, 2])
        spread = tf.broadcast_to([1.0, 1.0, 0.1], tf.shape(mean))  # the third tells most
        return types.SimpleNamespace(mean=lambda: mean, stddev=lambda: spread)

    def decode(self, codes):
        return tf.broadcast_to(codes[:, None, None, :], [len(codes), 8, 8, 3])


class _Model:
    """Learnt two tasks; its latent i gives a grey of i mod 4."""

    def __init__(self, student=True, learnt=2, codes=0):
        self.student = _Student() if student else None
        self.task_index = tf.Variable(learnt)
        self.latent_law = sampling.LatentLaw(2, domain_dim=codes)

    def sample(self, count, seed, domain=None):
        levels = (np.arange(count) + seed) % 4 if domain is None else np.full([count], 10 * domain)
        return images.normalize(np.tile(levels[:, None, None, None], [1, 8, 8, 3]).astype(np.uint8))


class _Task:
    def __init__(self, index, name, count=20, error=None):
        self.index, self.name, self.error = index, name, error
        low = 60 * index
        self.pixels = np.random.default_rng(index).integers(low, low + 100, (count, 8, 8, 3), np.uint8)
        self.asked, self.released = [], 0

    def test_images(self, limit):
        self.asked.append(limit)
        if self.error:
            raise self.error
        return self.pixels[:limit]

    def release(self):
        self.released += 1


def _levels(batch):
    """The domain of grey 0 or 1 is task 0, of 2 or 3 task 1."""
    return (images.to_uint8(batch).numpy()[:, 0, 0, 0] >= 2).astype(int)


def _row(after, names, **values):
    return row_lib.Row(after_task=after, task=names[-1], scores={name: dict(values) for name in names})


def _write_row(workdir, row):
    row.save(row_lib.row_path(workdir, row.after_task))


@pytest.fixture
def workdir(tmp_path):
    """What a run of two tasks has left: boundary samples, metrics.jsonl, two rows of scores."""
    (tmp_path / "boundary").mkdir()
    for i, name in enumerate("ab"):
        pixels = (
            np.full([64, 8, 8, 3], 2 * i, np.uint8) + np.arange(64, dtype=np.uint8)[:, None, None, None] % 2
        )
        np.savez(tmp_path / "boundary" / f"task_{i:02d}.npz", images=pixels, task=name, latents_seed=0)
    lines = [
        {"step": s, "task_index": s // 5, "task": "ab"[s // 5], "task_step": s % 5, "critic/loss": 1.0}
        for s in range(10)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 1')
    _write_row(str(tmp_path), _row(0, ["a"], nlog=5.0, mean_image_nlog=9.0, share=1.0))
    _write_row(str(tmp_path), _row(1, ["a", "b"], nlog=6.0, mean_image_nlog=8.0, share=0.5))
    return str(tmp_path)


@pytest.fixture
def tasks():
    return [_Task(0, "a"), _Task(1, "b"), _Task(2, "later")]


@pytest.fixture
def given(monkeypatch):
    """{sheet: arguments} that the sheets and charts were asked to draw; nothing is drawn."""
    calls = {}
    for module, names in (
        (
            sheets,
            (
                "domains_sheet",
                "interpolation_sheet",
                "traversal_sheet",
                "forgetting_sheet",
                "kept_sheet",
                "stream_sheet",
            ),
        ),
        (charts, ("heat_map", "forgetting_curves", "domain_mix")),
        (training_curves, ("training_curves",)),
    ):
        for name in names:
            monkeypatch.setattr(
                module,
                name,
                lambda *arguments, _name=name, **_: calls.setdefault(_name, []).append(arguments),
            )
    return calls


def _reconstruction(image):
    mean = (image.reshape(-1, 3) / 127.5 - 1).mean(axis=0)
    return np.broadcast_to(np.rint((mean + 1) * 127.5), [8, 8, 3])


def test_all_that_a_run_offers_is_drawn(workdir, tasks):
    pictures, left_out = run_figures.figures_of_run(_Model(), tasks, workdir, _levels)
    assert list(pictures) == [
        *run_figures.SHEETS,
        "training_curves",
        "domain_mix",
        "matrix_nlog",
        "matrix_share",
        "curves_nlog",
    ]
    assert left_out == {} and set(pictures) <= set(run_figures.NAMES)
    assert all(p.dtype == np.uint8 and p.ndim == 3 and p.shape[2] == 3 for p in pictures.values())


def test_domains_have_real_reconstructed_and_generated_images_in_their_lines(workdir, tasks, given):
    run_figures.figures_of_run(_Model(), tasks, workdir, _levels, only=["fig2_domains"])
    ((rows,),) = given["domains_sheet"]
    assert list(rows) == ["a", "b"]
    for task in tasks[:2]:
        lines = rows[task.name]
        assert list(lines) == ["real", "reconstructed", "generated"]
        assert len(lines["real"]) == len(lines["reconstructed"]) == len(lines["generated"]) == 12
        for real, rebuilt in zip(lines["real"], lines["reconstructed"]):
            assert any((real == image).all() for image in task.pixels)
            np.testing.assert_allclose(rebuilt, _reconstruction(real), atol=1)
        assert lines["generated"][:4, 0, 0, 0].tolist() == ([0, 1, 0, 1] if task.index == 0 else [2, 3, 2, 3])


def test_the_seed_chooses_the_images(workdir, tasks, given):
    for seed in (0, 0, 1):
        run_figures.figures_of_run(_Model(), tasks, workdir, _levels, seed, ["fig2_domains"])
    first, again, other = (rows["a"]["real"] for (rows,) in given["domains_sheet"])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_test_images_are_read_once_in_part_and_let_go(workdir, tasks):
    run_figures.figures_of_run(_Model(), tasks, workdir, _levels)
    assert [(task.asked, task.released) for task in tasks] == [([256], 1), ([256], 1), ([], 0)]


def test_paths_go_within_each_domain_and_from_the_first_to_each_other(workdir, tasks, given):
    run_figures.figures_of_run(_Model(), tasks, workdir, only=["fig2_interpolation"])
    ((lines,),) = given["interpolation_sheet"]
    pairs = [("a", "a"), ("b", "b"), ("a", "b")]
    assert [line[:3] for line in lines] == [
        (*pair, kind) for pair in pairs for kind in ("linear", "spherical")
    ]
    for _, _, kind, shown in lines:
        assert shown.shape == (12, 8, 8, 3)
        assert not (shown[0] == shown[-1]).all()
        first, last = _reconstruction(shown[0]), _reconstruction(shown[-1])
        np.testing.assert_allclose(shown[1], first, atol=1)
        np.testing.assert_allclose(shown[-2], last, atol=1)
        if kind == "linear":
            np.testing.assert_allclose(shown[4], first + (last - first) / 3, atol=1)
    linear, spherical = lines[4][3], lines[5][3]
    np.testing.assert_array_equal(linear[[0, -1]], spherical[[0, -1]])
    assert not np.array_equal(linear, spherical)


def test_traversals_are_of_the_variables_with_the_most_kl(workdir, tasks, given):
    run_figures.figures_of_run(_Model(), tasks, workdir, only=["fig3_traversal"])
    run_figures.figures_of_run(_Model(), tasks, workdir, only=["fig3_traversal"], units=[1])
    (sections, values), (chosen, _) = given["traversal_sheet"]
    assert values[0] == -3 and values[-1] == 3 and len(values) == 13 and values[6] == 0
    assert [heading for heading, _, _ in sections] == ["from an image of a", "from an image of b"]
    means = np.concatenate([(t.pixels / 127.5 - 1).mean(axis=(1, 2)) for t in tasks[:2]])
    kl = 0.5 * ((means**2).mean(axis=0) + np.array([0, 0, 0.01 - 1])) - np.log([1, 1, 0.1])
    labels = [f"variable {unit}\nKL {kl[unit]:.2f} nats" for unit in np.argsort(-kl)]
    for (_, start, lines), task in zip(sections, tasks):
        assert list(lines) == labels
        assert any((start[0] == image).all() for image in task.pixels)
        np.testing.assert_allclose(start[1], _reconstruction(start[0]), atol=1)
        third = lines[labels[0]]
        np.testing.assert_array_equal(third[:, 0, 0, 2], [0] * 5 + [64, 128, 191] + [255] * 5)
        assert (abs(third[..., :2].astype(int) - start[1][..., :2]) <= 1).all()  # the others are fixed
    assert [list(lines) for _, _, lines in chosen] == [[f"variable 1\nKL {kl[1]:.2f} nats"]] * 2


class _WideStudent(_Student):
    """Ten times the code."""

    code_dim = 30

    def encode(self, batch):
        narrow = super().encode(batch)
        return types.SimpleNamespace(
            mean=lambda: tf.tile(narrow.mean(), [1, 10]), stddev=lambda: tf.tile(narrow.stddev(), [1, 10])
        )

    def decode(self, codes):
        return super().decode(codes[:, :3])


@pytest.mark.parametrize("domains, lines", [(1, 8), (4, 6), (10, 3)])
def test_domains_share_the_lines_of_a_traversal(workdir, given, domains, lines):
    model = _Model(learnt=domains)
    model.student = _WideStudent()
    many = [_Task(i % 3, f"t{i}", 3) for i in range(domains)]
    run_figures.figures_of_run(model, many, workdir, only=["fig3_traversal"])
    ((sections, _),) = given["traversal_sheet"]
    assert [len(section[2]) for section in sections] == [lines] * domains


def test_the_forgetting_sheet_is_of_the_stored_samples_and_their_domains(workdir, tasks, given):
    run_figures.figures_of_run(_Model(), tasks, workdir, _levels, only=["forgetting"])
    ((samples, names, domains),) = given["forgetting_sheet"]
    assert names == ["a", "b"] and [s[:3, 0, 0, 0].tolist() for s in samples] == [[0, 1, 0], [2, 3, 2]]
    assert [d.tolist() for d in domains] == [[0] * 64, [1] * 64]


def test_without_domains_all_latents_are_shown_and_that_is_said(workdir, tasks, given):
    wanted = ["fig2_domains", "forgetting"]
    _, left_out = run_figures.figures_of_run(_Model(), tasks, workdir, only=wanted)
    ((rows,),) = given["domains_sheet"]
    assert list(rows) == ["a", "b", "all domains"] and list(rows["all domains"]) == ["generated"]
    assert rows["all domains"]["generated"][:, 0, 0, 0].tolist() == [0, 1, 2, 3] * 3
    assert len(given["forgetting_sheet"][0]) == 2
    assert list(left_out) == ["domains of generated images"]


def test_with_codes_every_domain_is_drawn_and_followed_by_its_own_latents(workdir, tasks, given):
    for i in range(2):
        path = os.path.join(workdir, "boundary", f"task_{i:02d}.npz")
        pixels = np.full([20 * (i + 1), 8, 8, 3], i, np.uint8)
        np.savez(path, images=pixels, task="ab"[i], latents_seed=0, domains=np.repeat(np.arange(i + 1), 20))
    wanted = ["fig2_domains", "forgetting", "stream"]
    _, left_out = run_figures.figures_of_run(_Model(codes=4), tasks, workdir, only=wanted)
    assert not left_out
    ((rows,),) = given["domains_sheet"]
    assert [rows[name]["generated"][0, 0, 0, 0] for name in "ab"] == [10, 20]
    ((samples, domains, names),) = given["kept_sheet"]
    assert names == ["a", "b"] and [np.bincount(d).tolist() for d in domains] == [[20], [20, 20]]
    assert [len(part) for part in given["stream_sheet"][0][0]] == [16, 32]


def test_a_domain_that_is_never_generated_is_named(workdir, tasks, given):
    _, left_out = run_figures.figures_of_run(
        _Model(), tasks, workdir, lambda batch: np.zeros(len(batch), int), only=["fig2_domains"]
    )
    ((rows,),) = given["domains_sheet"]
    assert list(rows["b"]) == ["real", "reconstructed"]
    assert left_out == {"generated images of b": "none of 512 generated images was taken for one."}


def test_without_a_student_the_rest_is_drawn(workdir, tasks):
    pictures, left_out = run_figures.figures_of_run(_Model(student=False), tasks, workdir, _levels)
    assert set(left_out) == {"fig2_interpolation", "fig3_traversal", "reconstructions in fig2_domains"}
    assert "train with --student" in left_out["fig3_traversal"]
    assert {"fig2_domains", "forgetting", "stream", "matrix_nlog"} <= set(pictures)


@pytest.mark.parametrize("error", [ValueError("it is gone."), FileNotFoundError("it is gone.")])
def test_without_the_data_of_a_task_the_rest_is_drawn(workdir, tasks, given, error):
    tasks[0].error = error
    _, left_out = run_figures.figures_of_run(_Model(), tasks, workdir, _levels)
    ((rows,),) = given["domains_sheet"]
    assert list(rows["a"]) == ["generated"] and list(rows["b"]) == ["real", "reconstructed", "generated"]
    assert {line[:2] for line in given["interpolation_sheet"][0][0]} == {("b", "b")}
    assert left_out == {"test images of a": "it is gone."}
    tasks[1].error = error
    _, left_out = run_figures.figures_of_run(_Model(), tasks, workdir, _levels)
    assert left_out["fig2_interpolation"] == "of no task that was learnt can test images be read."


def test_what_the_workdir_lacks_is_told_in_one_sentence_each(tmp_path, tasks):
    _, left_out = run_figures.figures_of_run(_Model(), tasks, str(tmp_path), _levels)
    assert set(left_out) == {
        "forgetting",
        "stream",
        "training_curves",
        "domain_mix",
        "score matrices",
        "forgetting curves",
    }
    assert left_out["stream"] == f"{tmp_path} has no samples of a boundary (boundary/task_00.npz)."
    assert left_out["training_curves"] == f"{tmp_path} has no metrics.jsonl."
    assert left_out["domain_mix"].startswith(f"{tmp_path} has no scores")


def test_what_is_damaged_or_of_another_format_is_told_in_one_sentence_each(workdir, tasks):
    with open(os.path.join(workdir, "boundary", "task_01.npz"), "r+b") as f:
        f.truncate(100)
    with open(os.path.join(workdir, "metrics.jsonl"), "a") as f:
        f.write("\n")
    with open(row_lib.row_path(workdir, 1), "w") as f:
        json.dump(_row(1, ["a", "b"], nlog=1.0).as_json() | {"format_version": 1}, f)
    pictures, left_out = run_figures.figures_of_run(_Model(), tasks, workdir, _levels)
    assert {"fig2_domains", "fig2_interpolation", "fig3_traversal"} == set(pictures)
    assert "task_01.npz is damaged" in left_out["forgetting"]
    assert "metrics.jsonl is damaged" in left_out["training_curves"]
    assert "has format version 1, this ltgans_tf reads 2" in left_out["score matrices"]


def test_charts_are_of_the_scores_that_are_there(workdir, tasks, given):
    run_figures.figures_of_run(
        _Model(), tasks, workdir, only=["matrix_nlog", "curves_nlog", "training_curves"]
    )
    ((matrix,),) = given["heat_map"]
    np.testing.assert_array_equal(matrix.values, [[5, np.nan], [6, 6]])
    ((curves, beside),) = given["forgetting_curves"]
    np.testing.assert_array_equal(curves.values, matrix.values)
    assert beside == {"a": 8.0, "b": 8.0}  # of the last row
    assert [record["step"] for record in given["training_curves"][0][0]] == list(range(10))
    _, left_out = run_figures.figures_of_run(_Model(), tasks, workdir, only=["matrix_fcd"])
    assert left_out == {"matrix_fcd": "no row of scores has fcd; those with one are nlog, share."}


def test_of_one_task_no_curves_are_drawn_unless_they_are_asked_for(tmp_path, tasks, given):
    _write_row(str(tmp_path), _row(0, ["a"], nlog=5.0))
    model = _Model(learnt=1)
    pictures, _ = run_figures.figures_of_run(model, tasks, str(tmp_path), _levels)
    assert "matrix_nlog" in pictures and "forgetting_curves" not in given
    pictures, _ = run_figures.figures_of_run(model, tasks, str(tmp_path), only=["curves_nlog"])
    assert list(pictures) == ["curves_nlog"] and given["forgetting_curves"][0][1] is None


def test_unknown_names_and_variables_are_refused(workdir, tasks):
    with pytest.raises(ValueError, match="no figure is called 'fig3_travesal'; did you mean fig3_traversal?"):
        run_figures.figures_of_run(_Model(), tasks, workdir, only=["fig3_travesal"])
    with pytest.raises(ValueError, match="no figure is called '!'; there are fig2_domains, "):
        run_figures.check_names(["!"])
    for unit in (-1, 3):
        with pytest.raises(ValueError, match=f"there is no latent variable {unit}; .* the variables 0 to 2"):
            run_figures.figures_of_run(_Model(), tasks, workdir, units=[unit])


def test_pictures_are_saved_by_name(tmp_path):
    one, two = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    run_figures.save(str(tmp_path / "figures"), {"one": one, "two": two})
    run_figures.save(str(tmp_path / "figures"), {"two": one})
    assert sorted(os.listdir(tmp_path / "figures")) == ["one.png", "two.png"]
    for name in ("one", "two"):
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), one)
