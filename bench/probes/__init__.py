"""Small trained heads on frozen features: samples, heads, losses and their training."""
