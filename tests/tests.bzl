"""A py_test for each test file, which runs pytest on it."""

load("@pypi//:requirements.bzl", "requirement")
load("@rules_python//python:py_test.bzl", "py_test")

# What the test files of each folder import: packages of ltgans_tf, and the FOLDERS beside it.
IMPORTS = {
    "": "export files ltgans_tf ltgans_tf:init methods settings trainers",
    "benchmarks": "benchmarks data export methods settings",
    "data": "data methods settings",
    "evaluation": "data evaluation ltgans_tf networks",
    "export": "benchmarks data evaluation export files ltgans_tf methods settings trainers training",
    "export/client": "export",
    "faults": "evaluation export files trainers training",
    "figures": "data evaluation figures networks",
    "files": "files ltgans_tf training",
    "hostile": "",
    "methods": "data evaluation export ltgans_tf methods networks settings trainers training",
    "networks": "networks settings",
    "settings": "data evaluation export ltgans_tf methods settings trainers training",
    "trainers": "data evaluation export figures files ltgans_tf methods networks settings trainers training",
    "trainers/reporting": "settings trainers",
    "training": "data evaluation figures files ltgans_tf methods settings training",
}
FOLDERS = ["benchmarks", "export", "ltgans_tf", "ltgans_tf:init", "trainers"]

# What all of them import from elsewhere, and pytest-timeout, which pyproject.toml asks for.
REQUIREMENTS = (
    "absl-py grpcio importlib-resources keras matplotlib mlxtend numpy packaging pillow protobuf " +
    "pytest pytest-timeout scikit-learn scipy setuptools tensorboard tensorflow " +
    "tensorflow-datasets tensorflow-probability tensorflow-serving-api tf-keras"
)

# These read the whole checkout, and a test in Bazel sees only the files that it depends on.
READ_THE_CHECKOUT = ["build_test.py", "docs_test.py", "extras_test.py", "layering_test.py", "notebook_test.py", "wheel_test.py"]

def _label(name):
    return "//" + name if name in FOLDERS else "//ltgans_tf/" + name

def folder_tests(name):
    """Makes a test of each test file: //tests:data/specs_test runs tests/data/specs_test.py.

    Args:
      name: a target that names them all, but for those in READ_THE_CHECKOUT.
    """
    for folder, imports in IMPORTS.items():
        deps = [":shared"]
        deps += [_label(imported) for imported in imports.split(" ") if imported]
        deps += [requirement(package) for package in REQUIREMENTS.split(" ")]
        for path in native.glob([folder + "/*_test.py" if folder else "*_test.py"]):
            py_test(
                name = path[:-len(".py")],
                srcs = [path],
                args = ["tests/" + path],
                data = ["//:pyproject.toml"],
                main_module = "tests.pytest_main",
                tags = ["manual"] if path in READ_THE_CHECKOUT else [],
                deps = deps,
            )
    native.test_suite(name = name)
