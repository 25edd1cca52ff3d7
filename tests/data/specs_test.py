"""The grammar of task specs and the sentences that refuse a wrong one."""

import subprocess
import sys
import time

import numpy as np
import pytest

from ltgans_tf.data import fuzzy, specs


def test_full_part_is_parsed():
    (part,) = specs.parse("cifar100@0-2,7?invert,train").parts
    assert part == specs.Part("name", "cifar100", (0, 1, 2, 7), True, "train")


def test_parts_are_joined_in_order():
    parts = specs.parse("mnist@0-8?train+svhn_cropped@9?train+mnist?test").parts
    assert [str(p) for p in parts] == ["mnist@0-8?train", "svhn_cropped@9?train", "mnist?test"]


@pytest.mark.parametrize("path", ["a+b/c", "a@b", "a?b", "x@1/y", "half+half@home?yes"])
def test_path_keeps_characters_that_are_not_grammar(path):
    assert specs.parse(f"folder:{path}").parts == (specs.Part("folder", path),)


def test_path_ends_where_grammar_begins():
    parts = specs.parse("folder:a+b@0-1?invert+mnist@3+npz:c+d.npz").parts
    assert parts == (
        specs.Part("folder", "a+b", (0, 1), True),
        specs.Part("name", "mnist", (3,)),
        specs.Part("npz", "c+d.npz"),
    )


def test_tfds_name_keeps_config_and_version():
    assert specs.parse("tfds:imagenet_resized/64x64:0.1.0@5").parts == (
        specs.Part("tfds", "imagenet_resized/64x64:0.1.0", (5,)),
    )


@pytest.mark.parametrize(
    "text", ["mnist", "folder:a b/c@0-3,9?invert,test", "npz:x.npz?train", "tfds:kmnist@0"]
)
def test_part_reads_back_as_written(text):
    assert str(specs.parse(text).parts[0]) == text


@pytest.mark.parametrize(
    "text, words",
    [
        ("mnits", ["'mnits'", "did you mean mnist"]),
        ("mnist@12", ["0 to 9", "class 12"]),
        ("mnist@10", ["0 to 9", "class 10"]),
        ("mnist?invrt", ["'invrt'", "invert, train, test"]),
        ("mnist@a", ["'a'", "integers"]),
        ("mnist@5-3", ["'5-3'"]),
        ("mnist@3,3", ["Class 3", "twice"]),
        ("mnist+", ["empty part"]),
        ("", ["''"]),
        ("celeb_a@3", ["no class labels"]),
        ("mnist?train", ["test split"]),
        ("mnist?train,test", ["'train,test'"]),
        ("folder:/no/such", ["'/no/such'", "folder"]),
        ("npz:/no/such.npz", ["'/no/such.npz'"]),
    ],
)
def test_wrong_spec_is_refused_in_one_sentence(text, words):
    with pytest.raises(ValueError) as error:
        specs.check(text)
    assert all(word in str(error.value) for word in words), error.value


def test_folder_without_images_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(ValueError, match="holds no images"):
        specs.check(f"folder:{tmp_path}")


def test_data_dir_gives_names_but_never_replaces_builtin_sets(tmp_path):
    for name in ("chairs64", "digits"):
        np.savez(tmp_path / f"{name}.npz", train_images=np.zeros((1, 8, 8), np.uint8))
    assert specs.check("chairs64@77", tmp_path).parts[0].path_or_name == "chairs64"
    assert specs.npz_for_name("digits", tmp_path) is None
    with pytest.raises(ValueError, match="did you mean chairs64"):
        specs.check("chair64", tmp_path)
    with pytest.raises(ValueError, match="Unknown data set"):
        specs.check("chairs64")


def test_a_folder_without_its_prefix_is_asked_for_with_it(tmp_path, monkeypatch):
    (tmp_path / "pets" / "cats").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="did you mean folder:pets/cats"):
        specs.check("pets/cats")


def test_set_got_by_hand_is_asked_for_with_where_to_put_it(tmp_path):
    with pytest.raises(ValueError, match=r"^cacd .*folder cacd or as cacd\.npz .*--data_dir .*None") as no:
        specs.check("cacd")
    assert "\n" not in str(no.value) and "folder:PATH" in str(no.value)
    (tmp_path / "cacd").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        specs.check("cacd", tmp_path)
    (tmp_path / "cacd" / "1.jpg").write_bytes(b"")
    specs.check("cacd@3", tmp_path)
    assert specs.folder_for_name("cacd", tmp_path) == str(tmp_path / "cacd")
    (tmp_path / "mnist").mkdir()
    assert specs.folder_for_name("mnist", tmp_path) is None


def test_paper_exchange_moves_one_class_and_leaves_the_tests():
    assert fuzzy.fuzzy_exchange("mnist", "fashion_mnist") == (
        "mnist@0-8?train+fashion_mnist@9?train+mnist?test",
        "fashion_mnist@0-8?train+mnist@9?train+fashion_mnist?test",
    )


def test_code_exchange_repeats_class_three_and_shifts_svhn():
    assert fuzzy.fuzzy_exchange("mnist", "svhn_cropped", mode="code") == (
        "mnist@0-7?train+mnist@3?train+svhn_cropped@0,9?train+mnist?test",
        "svhn_cropped@1-8?train+svhn_cropped@4?train+mnist@8-9?train+svhn_cropped?test",
    )


@pytest.mark.parametrize(
    "arguments", [("mnist", "cifar10", "texts"), ("mnist@3", "cifar10"), ("mnist+digits", "cifar10")]
)
def test_exchange_refuses_what_it_cannot_exchange(arguments):
    with pytest.raises(ValueError):
        fuzzy.fuzzy_exchange(*arguments)


def test_exchange_passes_the_check():
    for mode in ("paper", "code"):
        for text in fuzzy.fuzzy_exchange("cifar10", "fashion_mnist", mode):
            assert specs.check(text).parts[-1].split == "test"


def test_specs_need_neither_tensorflow_nor_numpy():
    code = "import sys, ltgans_tf.data.specs; sys.exit(any(m in sys.modules for m in ('tensorflow', 'numpy', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_check_takes_milliseconds():
    start = time.perf_counter()
    specs.check("imagenet_resized@0-999?train+mnist?test")
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("text", ["folder:a\nb", "npz:\udcff.npz", "mnist\x00"])
def test_spec_that_no_line_of_a_file_can_hold_is_refused(text):
    with pytest.raises(ValueError, match="characters that settings files cannot hold") as error:
        specs.parse(text)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "text, tidied",
    [
        ("folder:cats/", "folder:cats"),
        ("folder:./a//b/@3?train+npz:x.npz", "folder:a/b@3?train+npz:x.npz"),
        (" mnist@3,1 ", " mnist@3,1 "),
        ("folder:a?train/", "folder:a?train/"),
        ("folder:a/@3/", "folder:a/@3/"),
        ("folder:a+mnist/", "folder:a+mnist/"),
        ("nonsense?x", "nonsense?x"),
    ],
)
def test_paths_that_differ_in_slashes_alone_are_one_spec(text, tidied):
    assert specs.tidied(text) == tidied
    assert specs.tidied(tidied) == tidied


def test_a_spec_in_a_bucket_is_refused():
    with pytest.raises(ValueError, match="'folder:gs://b/cats' cannot be read: gs://b/cats is not on this"):
        specs.parse("folder:gs://b/cats")
