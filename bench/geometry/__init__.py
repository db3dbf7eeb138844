"""Geometry: pure functions on tensors, no input or output.

Conventions: OpenCV cameras (x right, y down, z forward); ``a_from_b`` transforms; the centre of the
first pixel is at (0.5, 0.5); depth is z-depth, 0 = unknown.
"""
