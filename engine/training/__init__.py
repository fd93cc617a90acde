"""How an adaptation learns: features, losses, the loop and its checkpoints. Knows no projects."""
