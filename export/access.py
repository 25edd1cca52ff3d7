"""Flags that give a program access to a server: an authorization, and the CA of the server's certificate."""

from absl import flags

from ltgans_tf.export import path_flags

flags.disclaim_key_flags()  # --help lists them with the program that defines them
_LONGEST = 1 << 16  # characters of the header


def define_flags():
    path_flags.define_path(
        "authorization_file", None, "File whose first line is the Authorization header, as 'Bearer ...'."
    )
    path_flags.define_path("ca_file", None, "PEM file of the CA that signs the server's certificate.")


def from_flags():
    """Returns the settings of a `client.Client` from these flags: dict."""
    given = flags.FLAGS
    return {"authorization": _first_line(given.authorization_file), "ca_file": given.ca_file}


def _first_line(path):
    """Returns the first line of a file, or None without a file. Other users could read a secret on a command line."""
    if path is None:
        return None
    with open(path, encoding="utf-8") as file:
        return file.readline(_LONGEST).strip()
