"""Settings of a client's requests: which version, how long and how often, and with which rights."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a client's requests.

    Attributes:
      timeout: seconds to wait for one answer.
      retries: how often the client asks again if the server is away, silent or busy.
      wait: seconds before the client asks again for the first time; see `failures.retried`.
      version: int, the version to ask; None for the newest that is loaded.
      label: name of a version in the server's configuration, or None; not with `version`.
      max_batch: the most rows of one request; longer inputs are split.
      authorization: value of the Authorization header ("Bearer ..."), which gateways in front of a server ask for,
        or None. Over http:// others on the network can read it.
      ca_file: PEM file of the authorities that may sign the server's certificate; None for those of this machine.
        Over gRPC, a file also turns encryption on.

    Raises:
      ValueError: a value is out of range.
    """

    timeout: float = 30.0
    retries: int = 3
    wait: float = 0.25
    version: int | None = None
    label: str | None = None
    max_batch: int = 64
    authorization: str | None = None
    ca_file: str | None = None

    def __post_init__(self):
        if self.version is not None and self.label is not None:
            raise ValueError(f"version is {self.version} and label is {self.label!r}; give one of the two.")
        if self.max_batch < 1 or self.retries < 0 or self.timeout <= 0:
            raise ValueError(
                f"max_batch is {self.max_batch}, retries {self.retries}, timeout {self.timeout};"
                " they must be at least 1, at least 0 and above 0."
            )
        if self.authorization is not None and not re.fullmatch("[!-~]([ -~]*[!-~])?", self.authorization):
            raise ValueError("authorization must be one line of printable ASCII; it is something else.")

    def target(self, model):
        """Returns the name of a model in messages, with its version or label if one is set."""
        if self.version is not None:
            return f"{model}, version {self.version}"
        return model if self.label is None else f"{model}, label {self.label}"
