"""Posts leave here: each exactly once, or with the reason why not."""
