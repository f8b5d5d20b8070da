"""Discord: members of a server clone, talk and schedule."""
