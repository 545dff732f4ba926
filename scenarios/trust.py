"""Keys, directory and signatures of one run, with the time they take."""

from __future__ import annotations

from scenarios.timing import Stopwatch
from sim.clock import Calendar
from sim.trust.client import DirectoryClient, in_process
from sim.trust.directory import Directory
from sim.trust.seals import Keyring, RegisteredSeals


class Trust:
    """Registers every participant before the run begins, signs what they send and checks what they get (``sim.bus.Seals``).

    since_s: simulated second from which the first keys hold.
    """

    def __init__(self, seed: int, calendar: Calendar, since_s: int, stopwatch: Stopwatch) -> None:
        self.directory = Directory()
        self._keyring = Keyring(seed, self.directory)
        self._since = calendar.unix(since_s)
        client = DirectoryClient(in_process(self.directory, lambda: self._since))
        seals = RegisteredSeals(self._keyring, client, self.directory.edition, calendar.unix(0))
        self.seal = stopwatch.wrap("signatures", seals.seal)
        self.check = stopwatch.wrap("signatures", seals.check)
        self.acknowledge = stopwatch.wrap("signatures", seals.acknowledge)

    def enrol(self, era: str) -> dict[str, str | int]:
        """Give a participant its first key; what the journal has to say of it."""
        key = self._keyring.enrol(era, self._since)
        return {
            "subscriber": era,
            "keyId": key.key_id,
            "publicKey": key.public_text,
            "sealingKey": key.sealing_text,
            "since": self._since,
        }
