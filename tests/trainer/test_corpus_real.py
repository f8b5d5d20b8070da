"""Real X archives give the counts that were taken by hand."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from zipfile import ZipFile

import pytest

from trainer import corpus
from trainer.corpus import RawPost
from trainer.recipes import HUGGINGTWEETS, MYNAH, Recipe

ARCHIVES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "x-archives"

pytestmark = pytest.mark.skipif(not ARCHIVES.is_dir(), reason=f"the real archives are not in {ARCHIVES}")


def archive_posts(path: Path) -> list[RawPost]:
    posts: list[RawPost] = []
    with ZipFile(path) as archive:
        parts = [name for name in archive.namelist() if re.search(r"data/tweets?(-part\d+)?\.js$", name)]
        assert parts
        for part in parts:
            script = archive.read(part).decode("utf-8")
            for row in json.loads(script[script.index("[") :]):
                tweet = row.get("tweet", row)
                when = datetime.strptime(tweet["created_at"], "%a %b %d %H:%M:%S %z %Y")
                text = tweet["full_text"]
                posts.append(RawPost(tweet["id_str"], when, text, "repost" if text.startswith("RT @") else "post"))
    return posts


@pytest.mark.parametrize("recipe", [MYNAH, HUGGINGTWEETS], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(
    ("name", "downloaded", "reposts", "short", "kept"),
    [
        ("andreruffert", 1_986, 643, 230, 1_113),
        ("mkommar", 2_001, 567, 99, 1_335),
        ("alrocar-later", 1_223, 12, 273, 938),
        ("jacklance", 515, 0, 33, 482),
    ],
)
def test_archive_has_its_known_counts(
    name: str, downloaded: int, reposts: int, short: int, kept: int, recipe: Recipe
) -> None:
    built = corpus.build(archive_posts(ARCHIVES / f"{name}.zip"), recipe)
    assert (built.downloaded, built.reposts, built.short, built.kept) == (downloaded, reposts, short, kept)
    assert len(built.train) + len(built.heldout) + built.duplicates + built.quoted == kept
