"""VGGT's nine numbers per camera, and the cameras they stand for.

[0:3] translation, [3:7] quaternion (x, y, z, w) of camera_from_world, [7] vertical and [8]
horizontal field of view in radians. The principal point is always the image's centre.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

ENCODING_SIZE = 9


def cameras_from_pose_encoding(
    encoding: Tensor, image_size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """camera_from_world [..., 3, 4] and intrinsics [..., 3, 3] of encodings [..., 9].

    The quaternion may have any norm but zero (which gives NaN); a field of view of 0 gives an
    infinite focal length.

    Args:
        image_size: (height, width) in pixels.
    """
    rotation = rotation_from_quaternion(encoding[..., 3:7])
    camera_from_world = torch.cat([rotation, encoding[..., :3, None]], dim=-1)
    size = encoding.new_tensor(image_size)
    focal_y, focal_x = ((size / 2) / torch.tan(encoding[..., 7:] / 2)).unbind(-1)
    intrinsics = encoding.new_zeros(*encoding.shape[:-1], 3, 3)
    intrinsics[..., 0, 0] = focal_x
    intrinsics[..., 1, 1] = focal_y
    intrinsics[..., 0, 2] = size[1] / 2
    intrinsics[..., 1, 2] = size[0] / 2
    intrinsics[..., 2, 2] = 1
    return camera_from_world, intrinsics


def pose_encoding_from_cameras(
    camera_from_world: Tensor, intrinsics: Tensor, image_size: tuple[int, int]
) -> Tensor:
    """Encodings [..., 9] of camera_from_world [..., 3 or 4, 4] and intrinsics [..., 3, 3].

    The principal point is dropped; the quaternion has w >= 0.

    Args:
        image_size: (height, width) in pixels.
    """
    size = intrinsics.new_tensor(image_size)
    focal = torch.stack([intrinsics[..., 1, 1], intrinsics[..., 0, 0]], dim=-1)
    return torch.cat(
        [
            camera_from_world[..., :3, 3],
            quaternion_from_rotation(camera_from_world[..., :3, :3]),
            2 * torch.atan((size / 2) / focal),
        ],
        dim=-1,
    )


def crop_pose_encoding(
    encoding: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]
) -> Tensor:
    """Encodings [..., 9] of the central `to_size` (height, width) of images of `from_size`.

    The focal lengths in pixels stay as they are, so the fields of view change.
    """
    ratio = encoding.new_tensor(to_size) / encoding.new_tensor(from_size)
    field_of_view = 2 * torch.atan(torch.tan(encoding[..., 7:] / 2) * ratio)
    return torch.cat([encoding[..., :7], field_of_view], dim=-1)


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Rotations [..., 3, 3] of quaternions (x, y, z, w) [..., 4] of any norm but zero."""
    x, y, z, w = quaternion.unbind(-1)
    s = 2 / quaternion.square().sum(-1)
    entries = [
        1 - s * (y * y + z * z),
        s * (x * y - z * w),
        s * (x * z + y * w),
        s * (x * y + z * w),
        1 - s * (x * x + z * z),
        s * (y * z - x * w),
        s * (x * z - y * w),
        s * (y * z + x * w),
        1 - s * (x * x + y * y),
    ]
    return torch.unflatten(torch.stack(entries, dim=-1), -1, (3, 3))


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternions (x, y, z, w) [..., 4], w >= 0, of rotations [..., 3, 3].

    Each row of the matrix below is the quaternion times four times one of its own components; the
    row with the largest component is the one that loses no precision.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (
        row.unbind(-1) for row in rotation.unbind(-2)
    )
    rows = [
        [1 + m00 - m11 - m22, m01 + m10, m02 + m20, m21 - m12],
        [m01 + m10, 1 - m00 + m11 - m22, m12 + m21, m02 - m20],
        [m02 + m20, m12 + m21, 1 - m00 - m11 + m22, m10 - m01],
        [m21 - m12, m02 - m20, m10 - m01, 1 + m00 + m11 + m22],
    ]
    products = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    best = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    index = best[..., None, None].expand(*best.shape, 1, 4)
    quaternion = normalize(products.gather(-2, index).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)
