"""The networks of Pentimento in PyTorch: the oracle for parity, and what the training uses."""
