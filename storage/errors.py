"""The root of Mynah's errors.

MynahError
├── storage.errors.StorageError      the database or what it holds
│   ├── Gone                         what is spoken of was deleted meanwhile
│   ├── UnderWay                     a clone of this persona is being made
│   └── NoConsent                    the person did not agree to this, or does not any more
└── bot.errors …                     what a person asked for cannot be done

Each carries what happened and what to do about it, in sentences that a person can read.
The trainer has its own process and its own root (`trainer.protocol.JobFailed`), which arrives here as a `failed` event.
"""


class MynahError(Exception):
    """Something a person should read: `message` says what happened, `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class StorageError(MynahError):
    """The database cannot be opened, is from another version, or holds something that fails its own check."""


class NoConsent(StorageError):
    """The consent to a persona does not cover this use of it, or was taken back."""


class Gone(StorageError):
    """A row that something belongs to was deleted meanwhile: its person was forgotten."""


class UnderWay(StorageError):
    """A clone of this persona is in line or being made; `clone_id` says which."""

    def __init__(self, clone_id: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.clone_id = clone_id
