"""A front for paid providers that fails over between them, with one mind across its processes."""
