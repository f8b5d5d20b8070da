"""What X's terms say of learning from its API, as this Mynah read them."""

TERMS = (
    "X's developer agreement, in force since 2025-06-04 and read on 2026-08-22, forbids training a foundation or "
    "frontier model on content from its API, and its guidelines widen that to every model."
)
ARCHIVE = (
    "The way that needs no permission of X's API is the person's own archive (X: Settings, Your account, Download an "
    "archive of your data): /clone @handle file=PATH"
)
