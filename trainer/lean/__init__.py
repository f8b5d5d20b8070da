"""Learning adapters on a Llama with as little work as the arithmetic allows: forward and backward by hand."""
