"""Training and evaluation of MMRB-Net from high-quality aligned faces alone."""
