"""Before an account is collected: X's terms, the person's will, the price; and then somebody has to say yes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlite_utils import Database

from bot.errors import CommandError
from bot.people.people import People
from bot.requests import Ask
from bot.settings import Settings
from bot.sources.x_api import DEEPEST, SMALLEST_PAGE, Account, find_account, page_size
from bot.x import access
from bot.x.budget import MICRO, Budget, OverBudget
from bot.x.errors import AccountUnreadable
from bot.x.patience import Patience
from bot.x.paying import PayingClient
from bot.x.terms import ARCHIVE, TERMS
from storage import personas, x_collections
from storage.consents import Ground
from storage.database import Store
from storage.x_collections import Collection

_HASTY = Patience(longest_wait_s=3, tries=2)
"""Somebody is waiting for the answer."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a collection will read at most, and what that costs; money in microdollars."""

    posts: int
    wanted: int
    """Before the budget was looked at."""
    cost: int
    left: int


class NeedsYes(CommandError):
    """The price was told, and nobody said yes. A later yes to the question, for `depth` posts, buys no more."""

    def __init__(self, handle: str, question: str, depth: int, price: str) -> None:
        super().__init__(f"Nothing was collected. {price}", f"It needs a yes. {ARCHIVE}")
        self.handle, self.question, self.depth = handle, question, depth


class Asking:
    def __init__(self, settings: Settings, store: Store, budget: Budget, people: People) -> None:
        self._settings = settings
        self._store = store
        self._budget = budget
        self._people = people

    async def collection(
        self, handle: str, depth: int | None, ask: Ask | None, *, only_newer: bool = False
    ) -> Collection:
        """What is to be read of an account, once somebody agreed to terms and price. Looking it up costs a user read.

        Goes on where an earlier collection broke off, and otherwise with what is newer than it.
        Raises CommandError (NeedsYes among them), OverBudget, and XError (AccountUnreadable among them); nothing is in
        line then.
        """
        self.refuse_against_terms()
        if depth is not None and depth < SMALLEST_PAGE:
            raise CommandError(f"depth is {depth}.", f"It is a number of posts, {SMALLEST_PAGE} or more.")
        await self._people.refuse_opted_out(handle)
        last = await self._store.run(_last, handle)
        own = await access.own_account(self._settings)
        ground = await self._ground(handle, is_own=False, is_last_word=not own)
        async with await access.reader(self._settings, self._budget, "look-up") as client:
            account = await look_up(client, handle, None if last is None else last.account_id)
        is_own = account.id == own
        ground = ground or await self._ground(handle, is_own=is_own, is_last_word=True)
        if account.is_protected and not is_own:
            raise AccountUnreadable(
                "protected", f"The posts of @{account.handle} are protected.", f"Only their owner has them. {ARCHIVE}"
            )
        assert ground is not None
        wanted = _begun(account, ground, depth or self._settings.x.depth, last, only_newer=only_newer)
        return await self._agreed(account, wanted, last, ask)

    def refuse_against_terms(self) -> None:
        """Raises CommandError where the owner has not set that X's content may be learned from."""
        if not self._settings.x.train_on_api_content:
            raise CommandError(TERMS, f"So it is off; the owner can set x.train_on_api_content = true. {ARCHIVE}")

    async def _ground(self, handle: str, *, is_own: bool, is_last_word: bool) -> Ground | None:
        """Why the account may be collected; None where that depends on whose it is, which X has to say first."""
        try:
            return await self._people.consent_for(handle, connected=is_own)
        except CommandError:
            if is_last_word:
                raise
            return None

    async def _agreed(
        self, account: Account, wanted: Collection, last: Collection | None, ask: Ask | None
    ) -> Collection:
        estimate = self._estimate(account, wanted, last, await self._budget.left())
        if estimate.posts < min(estimate.wanted, SMALLEST_PAGE):
            raise OverBudget(
                f"{estimate.wanted:,} posts cost about {_usd(estimate.cost)}, and the budget has {_usd(estimate.left)}"
                " left.",
                "See /budget; budget_day and budget_month of [x] in config.toml set it.",
            )
        price = in_words(account, estimate, only_newer=wanted.since_id is not None)
        question = f"{TERMS} {price} Collect them, and learn from them?"
        depth = wanted.read + (max(estimate.posts, SMALLEST_PAGE) if estimate.wanted else 0)
        if ask is None or not await ask(question):
            raise NeedsYes(account.handle, question, max(SMALLEST_PAGE, depth), price)
        return replace(wanted, depth=depth)

    def _estimate(self, account: Account, wanted: Collection, last: Collection | None, left: int) -> Estimate:
        price = self._budget.price("read")
        there = DEEPEST if account.post_count is None else account.post_count
        if wanted.since_id and last is not None and last.post_count is not None and account.post_count is not None:
            # More may be new than the difference says, where others were deleted: a page at least is expected.
            there = wanted.read + max(100, account.post_count - last.post_count)
        posts = max(0, min(wanted.depth, there) - wanted.read)
        affordable = min(posts, left // price) if price else posts
        return Estimate(affordable, posts, posts * price, left)


async def look_up(client: PayingClient, handle: str, known_id: str | None) -> Account:
    """Who a handle is, paid for. Raises AccountUnreadable, XError."""
    try:
        account = await find_account(client, handle, known_id=known_id, patience=_HASTY)
    except AccountUnreadable as error:
        await client.settle(1 if error.why == "renamed" else 0)
        raise
    await client.settle(1)
    return account


def in_words(account: Account, estimate: Estimate, *, only_newer: bool) -> str:
    """The price, before it is paid."""
    posts, is_all = f"{estimate.wanted:,} posts", account.post_count in (None, estimate.wanted)
    if only_newer:
        posts = f"up to {estimate.wanted:,} newer posts"
    elif not is_all:
        posts = f"{estimate.wanted:,} of {account.post_count:,} posts"
    most = "" if is_all and not only_newer else " at most"
    less = f" That pays for the newest {estimate.posts:,}." if estimate.posts < estimate.wanted else ""
    told = f"@{account.handle} on X: {posts} ≈ {_usd(estimate.cost)}{most}"
    return f"{told}, budget left {_usd(estimate.left)}.{less}"


def _usd(microdollars: int) -> str:
    # Half a cent is rounded up, as X would.
    return f"${(microdollars + MICRO // 200) // (MICRO // 100) / 100:,.2f}"


def _begun(account: Account, ground: Ground, depth: int, last: Collection | None, *, only_newer: bool) -> Collection:
    """Where the reading begins: anew, where the last one stopped, or with what is newer."""
    fresh = Collection(account.id, account.handle, account.display_name, account.post_count, ground, depth)
    if last is None:
        return fresh
    goes_deeper = not only_newer and not last.is_complete and page_size(depth - last.read) > 0
    if goes_deeper or (last.ended_at is None and not last.is_complete):
        return replace(
            fresh,
            since_id=last.since_id,
            newest_id=last.newest_id,
            oldest_id=last.oldest_id,
            next_token=last.next_token,
            read=last.read,
            depth=max(depth, last.read + SMALLEST_PAGE),
        )
    return replace(fresh, since_id=last.newest_id, newest_id=last.newest_id)


def _last(db: Database, handle: str) -> Collection | None:
    persona = personas.find(db, handle)
    return None if persona is None else x_collections.newest(db, persona.id)
