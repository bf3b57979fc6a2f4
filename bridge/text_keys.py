"""Keys of the text screen: one for each generation of the secret, since every case stays under its own."""

from contextlib import suppress
from pathlib import Path

from bridge.keys import GenerationMissingError, Keys, Purpose, SecretError, load_keys
from cases.errors import StoreUnavailableError


class TextKeys:
    """The keys by generation; one that was made after this process started is read when a case of it is edited."""

    def __init__(self, secret_file: Path) -> None:
        self._secret_file = secret_file
        self._keys = load_keys(secret_file)

    def of(self, generation: int) -> bytes:
        """Return the key of a generation.

        Raises
        ------
        StoreUnavailableError
            When this host does not have it: what is typed waits, since unscreened it is not taken.
        """
        with suppress(GenerationMissingError):
            return self._keys.of(generation).subkey(Purpose.TEXT_TOKENS)
        try:
            self._keys = self._later()
            return self._keys.of(generation).subkey(Purpose.TEXT_TOKENS)
        except SecretError as error:
            raise StoreUnavailableError(str(error)) from None

    def _later(self) -> Keys:
        later = load_keys(self._secret_file)
        if later.name_key != self._keys.name_key:
            raise SecretError("the secret file is another installation's; restore it from its backup")
        return later
