"""MuM: a ViT-L/16 pre-trained on several views of a scene."""
