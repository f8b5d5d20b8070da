"""W&B beside a training, and never in its way.

`tracker.py` is the trainer's side: it only ever puts into a queue. `__main__.py` is a process of its own, which reads
what the trainer says (`lines.py`) and tells it to the real `wandb` library (`runs.py`). Whatever W&B does, hang,
refuse, die or fill the disk, costs the training a `warned` event. `sync.py` uploads later what was written offline.
"""
