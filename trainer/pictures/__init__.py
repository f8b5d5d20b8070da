"""The pictures of a card: the round portrait, the pipeline, and predictions.png."""
