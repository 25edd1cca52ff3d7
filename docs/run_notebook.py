"""Runs docs/notebook.md, a notebook in Markdown: `python -m docs.run_notebook runs/notebook.ipynb`."""

import pathlib
import sys

SOURCE = pathlib.Path(__file__).parent / "notebook.md"


def execute(out):
    """Executes all cells and writes the notebook with what they show.

    Args:
      out: path of the .ipynb file; its folder becomes the working folder of the cells.
    """
    import jupytext
    import nbclient

    notebook = jupytext.read(SOURCE)
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    # A cell that fails ends this with its traceback.
    nbclient.NotebookClient(
        notebook, timeout=1800, resources={"metadata": {"path": str(out.parent)}}
    ).execute()
    jupytext.write(notebook, out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m docs.run_notebook FILE.ipynb")
    print(f"running {SOURCE.name}, which takes some minutes", flush=True)
    execute(sys.argv[1])
    print(f"wrote {sys.argv[1]}")
