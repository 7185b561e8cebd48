//! Reads PyTorch checkpoints as data.
