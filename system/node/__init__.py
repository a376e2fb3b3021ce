"""A node: a machine that is measured, told which model to run, and asked by a balancer."""
