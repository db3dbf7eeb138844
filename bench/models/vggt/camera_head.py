"""Camera head: refines one pose encoding per frame from its camera token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from bench.models.transformer import Block, Mlp
from bench.models.vggt.options import CameraHeadOptions
from bench.models.vggt.pose_encoding import ENCODING_SIZE


class CameraHead(nn.Module):
    """Attention over the frames' camera tokens, conditioned on the estimate so far (as in DiT).

    Args:
        dim_in: channels of the camera tokens.
    """

    def __init__(self, dim_in: int, options: CameraHeadOptions) -> None:
        super().__init__()
        self.num_iterations = options.num_iterations
        self.token_norm = nn.LayerNorm(dim_in)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, ENCODING_SIZE))
        self.embed_pose = nn.Linear(ENCODING_SIZE, dim_in)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim_in, 3 * dim_in))
        self.adaln_norm = nn.LayerNorm(dim_in, eps=1e-6, elementwise_affine=False)
        self.trunk = nn.Sequential(
            *(
                Block(
                    dim_in,
                    options.num_heads,
                    mlp_ratio=options.mlp_ratio,
                    init_values=options.init_values,
                )
                for _ in range(options.trunk_depth)
            )
        )
        self.trunk_norm = nn.LayerNorm(dim_in)
        self.pose_branch = Mlp(dim_in, dim_in // 2, ENCODING_SIZE)

    def forward(self, camera_tokens: Tensor) -> list[Tensor]:
        """Pose encodings [B, S, 9] after every iteration, for camera tokens [B, S, dim_in]."""
        tokens = self.token_norm(camera_tokens)
        normed = self.adaln_norm(tokens)
        condition = self.empty_pose_tokens.expand(*tokens.shape[:2], -1)
        estimate: Tensor | None = None
        activated: list[Tensor] = []
        for _ in range(self.num_iterations):
            modulation = self.poseLN_modulation(self.embed_pose(condition))
            shift, scale, gate = modulation.chunk(3, dim=-1)
            x = self.trunk(gate * (normed * (1 + scale) + shift) + tokens)
            update = self.pose_branch(self.trunk_norm(x))
            estimate = update if estimate is None else estimate + update
            # What is fed back is the running sum before the activation.
            condition = estimate.detach()
            activated.append(torch.cat([estimate[..., :7], relu(estimate[..., 7:])], dim=-1))
        return activated
