"""Talking to X: one client for collecting and posting, its errors, and how long it is worth waiting."""
