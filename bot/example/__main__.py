"""`make example`: train the bundled persona on its posts, and put what comes out beside them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from bot.bundled import ADAPTER, TRAINED, Trained, bundled_handle, example_posts
from bot.launchers import local
from trainer.catalog import SMOLLM2
from trainer.protocol import AnyEvent, Counted, Evaluated, Failed, FinetuneJob, Sample, Saved, Started
from trainer.recipes import MYNAH

RECIPE = MYNAH.model_copy(update={"rank": 4, "alpha": 8, "epochs": 2})
"""Rank 4, so that the adapter ships in under 3 MB."""
SEED = 20261124
_HERE = Path(__file__).parent


async def main() -> int:
    """Train in a scratch folder; the package changes only when all went well."""
    with tempfile.TemporaryDirectory() as scratch:
        events = await _train(Path(scratch))
        failed = next((event for event in events if isinstance(event, Failed)), None)
        if failed is not None:
            print(f"{failed.message} {failed.hint}", file=sys.stderr)
            return 1
        _keep(events)
    return 0


async def _train(scratch: Path) -> list[AnyEvent]:
    posts = scratch / "posts.jsonl"
    with posts.open("w", encoding="utf-8") as lines:
        for post in example_posts():
            assert post.created_at is not None
            row = {"id": post.id, "created_at": post.created_at.isoformat(), "text": post.text, "kind": post.kind}
            lines.write(json.dumps(row) + "\n")
    job = FinetuneJob(
        job_id="example",
        base=SMOLLM2.name,
        cache_dir=Path(os.environ.get("MYNAH_DATA_DIR", "data")) / "cache",
        persona=bundled_handle(),
        posts=posts,
        work_dir=scratch / "job",
        recipe=RECIPE,
        seed=SEED,
        parent_pid=os.getpid(),
    )
    trainer = await local.launch(job, scratch / "log")
    events: list[AnyEvent] = []
    async for event in trainer.events():
        print(event.model_dump_json(), flush=True)
        events.append(event)
        if isinstance(event, Saved):
            _copy_adapter(event)
    await trainer.wait()
    return events


def _copy_adapter(saved: Saved) -> None:
    folder = _HERE / ADAPTER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in saved.files:
        shutil.copyfile(file.path, folder / file.name)


def _keep(events: list[AnyEvent]) -> None:
    started = next(event for event in events if isinstance(event, Started))
    counted = next(event for event in events if isinstance(event, Counted))
    quality = {event.stage: event.bits_per_byte for event in events if isinstance(event, Evaluated)}
    trained = Trained(
        base=started.base,
        base_hash=started.base_hash,
        recipe=RECIPE,
        seed=SEED,
        counted=counted.model_copy(update={"corpus": None}),
        bits_per_byte_before=quality["before"],
        bits_per_byte_after=quality["after"],
        samples=tuple((event.step, event.prompt, event.text) for event in events if isinstance(event, Sample)),
    )
    (_HERE / TRAINED).write_text(trained.model_dump_json(indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
