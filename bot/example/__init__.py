"""The example account, of our own writing, and the adapter that `python -m bot.example` trains on it."""
