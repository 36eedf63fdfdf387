"""What the scripts of the comparison share: building, starting and stopping processes, the targets, the tables."""
