"""Stand-ins for what a test cannot have: every mock is a program, `python -m mock_services NAME`."""
