"""Every command of the console: how it is written, what it does, and which options it takes."""

from __future__ import annotations

from bot.gateways import families

FORMS = {
    "clone": "/clone [@handle] file=PATH | source=x [depth=N] [recipe=NAME] [newest=N] [heldout=yes|no] [seed=N]",
    "say": '/say [@handle] [prompt="…"] [count=N] [seed=N]',
    "models": "/models",
    "blend": "/blend @a @b [@c …] [weights 60 40] [as=NAME] [recipe=NAME] [newest=N] [seed=N]",
    "refresh": "/refresh @handle [file=PATH] [seed=N]",
    "versions": "/versions @handle",
    "rollback": "/rollback @handle [version=N]",
    "evaluate": "/evaluate @handle [samples=N] [seed=N]",
    "card": "/card @handle",
    "push": "/push @handle [repo=NAME] [public=yes|no]",
    "adopt": "/adopt FOLDER-OR-REPO [as=NAME]",
    "train": "/train status | watch | cancel [@handle]",
    "export": "/export @handle DIR",
    **families.forms(),
    "help": "/help [COMMAND]",
    "quit": "/quit",
}
ABOUT = {
    "clone": "learn a voice from a file of posts, and wait until it is ready",
    "say": "speak like someone, one post a line",
    "models": "list the clones",
    "blend": "learn a voice from several people whose posts are here",
    "refresh": "go on learning from what is new",
    "versions": "a persona's versions, and which of them speaks",
    "rollback": "let an older version speak",
    "evaluate": "measure a clone on posts that it never saw",
    "card": "write a clone's model card, with its pictures",
    "push": "upload a clone with its card to the Hugging Face Hub; HF_TOKEN is needed",
    "adopt": "bring in a model that was made elsewhere, such as a huggingtweets bot",
    "train": "see what is being trained, watch it, or cancel it",
    "export": "write a clone as a folder that transformers.pipeline loads",
    **families.about(),
    "help": "how commands are written, and what they do",
    "quit": "end the bot",
}
KEYS = {
    "clone": ("file", "recipe", "newest", "heldout", "seed", "source", "depth"),
    "say": ("prompt", "count", "seed"),
    "blend": ("as", "recipe", "newest", "seed"),
    "refresh": ("file", "seed"),
    "rollback": ("version",),
    "evaluate": ("samples", "seed"),
    "push": ("repo", "public"),
    "adopt": ("as",),
    **families.keys(),
}
MAY_BE_EMPTY = ("prompt", "quiet")
_BESIDE, _AFTER = "In another terminal: .venv/bin/mynah", "After /quit: .venv/bin/mynah"
IN_A_SHELL = {
    "doctor": f"{_BESIDE} doctor",
    "setup": f"{_BESIDE} setup",
    "recipe": f"{_BESIDE} recipe list",
    "wandb": f"{_AFTER} wandb sync",
    "discord": f"{_AFTER} discord sync",
    "run": "It runs already.",
}
"""Commands of `mynah` that the console lacks, and how they are given: some write, which one Mynah at a time may."""


def told(names: tuple[str, ...] = ()) -> list[str]:
    """Some commands, or every one: how it is written, and beneath it what it does."""
    return [line for name in names or FORMS for line in (FORMS[name], f"    {ABOUT[name]}")]
