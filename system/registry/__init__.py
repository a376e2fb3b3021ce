"""The registry: who is there, what they can do, and whether they are still alive."""
