"""VGGT: cameras, depth, points and tracks from views of one scene, written from the paper."""

from bench.models.vggt.aggregator import Aggregator
from bench.models.vggt.model import VGGT
from bench.models.vggt.pose_encoding import (
    cameras_from_pose_encoding,
    pose_encoding_from_cameras,
)
from bench.models.vggt.unproject import unproject_depth

__all__ = [
    "VGGT",
    "Aggregator",
    "cameras_from_pose_encoding",
    "pose_encoding_from_cameras",
    "unproject_depth",
]
