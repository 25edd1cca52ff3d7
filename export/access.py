"""The flags by which a program gets access to a server: an authorization, and the CA of its certificate."""

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
    """The settings of a `client.Client` from these flags: dict."""
    given = flags.FLAGS
    return {"authorization": _first_line(given.authorization_file), "ca_file": given.ca_file}


def _first_line(path):
    """The first line of a file, or None without a file. A secret on a command line could be read by others."""
    if path is None:
        return None
    with open(path, encoding="utf-8") as file:
        return file.readline(_LONGEST).strip()
