"""The HTTP half: the original's endpoints, and what users missed there."""
