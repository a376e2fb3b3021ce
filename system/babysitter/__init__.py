"""The babysitter: starts one model backend, keeps it running, and keeps the registry informed about it."""
