"""What a clone's samples are like, and how a person's posts change: one file a measure, figures with intervals.

Texts in, figures out: no model and no torch here, and nothing is random but for the seed that is given.
"""
