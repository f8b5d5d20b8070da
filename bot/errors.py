"""What can go wrong in the bot, as a person is told it.

MynahError (storage.errors)
├── SettingsError     a key of config.toml or the environment is wrong
├── SourceError       a file of posts cannot be read
│   ├── UnsafeFile    it is larger, deeper or stranger than a file of posts should be
│   └── NoPosts       it is readable and holds no posts
├── CommandError      a command is mistyped, or names something that is not there
│   ├── NotFound
│   └── OptedOut      this person's voice is not to be learned
├── CloneFailed       a training ended without a model
├── TrainerFailed     a trainer could not export, judge, draw, push or adopt
├── VoiceError        a persona could not speak
├── GuardError        nothing that was written may leave, or nobody can tell whether it may
└── AlreadyRunning    another Mynah holds this data folder
"""

import traceback

from storage.errors import MynahError


class SettingsError(MynahError):
    """A key of config.toml or the environment is wrong; names the key, the value and what is allowed."""


class SourceError(MynahError):
    """A file of posts cannot be read."""


class UnsafeFile(SourceError):
    """A file is larger, deeper or stranger than a file of posts should be."""


class NoPosts(SourceError):
    """A file is readable and holds no posts."""


class CommandError(MynahError):
    """A command is mistyped or cannot be done now."""


class NotFound(CommandError):
    """A command names a persona, recipe or clone that is not there."""


class OptedOut(CommandError):
    """A command names a person who asked never to be cloned here."""


class CloneFailed(MynahError):
    """A training ended without a model."""


class TrainerFailed(MynahError):
    """A trainer said why it could not do a job other than a training."""


class VoiceError(MynahError):
    """A persona could not speak."""


class GuardError(MynahError):
    """Nothing that was written may leave, or nobody can tell whether it may."""


class AlreadyRunning(MynahError):
    """Another Mynah holds this data folder."""


class DiscordError(MynahError):
    """Discord will not have this bot."""


def only_the_running(command: str) -> CommandError:
    """For a command that changes something, beside a bot that holds the data folder."""
    return CommandError(
        "The Mynah that is running holds the data folder, and only it can do that.",
        f"Type {command} in its console, or on Discord where it has that; or stop it first.",
    )


def place_of(error: BaseException) -> str:
    """File and line where it arose: what a log may say of an error whose words may hold a post."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
