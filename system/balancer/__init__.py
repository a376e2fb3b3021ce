"""The smart balancer: nodes are measured, given a model each can carry, and asked, and answer as one."""
