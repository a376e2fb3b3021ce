"""What all tests share: simulated hosts are processes unless a test asks for containers."""

import os

os.environ.setdefault("MUSTER_HOSTS", "process")
