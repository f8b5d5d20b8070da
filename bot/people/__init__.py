"""People: on what ground their voice is learned, and how all of it goes away again."""
