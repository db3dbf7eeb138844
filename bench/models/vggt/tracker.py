"""Point tracker: refines tracks from correlations along them (CoTracker, as in VGGT)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample
from torch.nn.init import trunc_normal_, xavier_uniform_, zeros_

from bench.errors import BenchError
from bench.models.transformer import Mlp
from bench.models.vggt.options import TrackHeadOptions

#: Channels of the sines and cosines of the flow along one axis.
FLOW_CHANNELS = 64
#: Steps between the frequencies of the flow embedding.
FLOW_FREQUENCY_STEP = 1000 / FLOW_CHANNELS
#: Flow is also given as a fraction of this length.
MAX_FLOW = 518
POSITION_BASE = 10000.0


class SelfAttentionBlock(nn.Module):
    """Attention and an MLP; both residuals start from the normalised input."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x)
        x = x + self.attn(x, x, x, need_weights=False)[0]
        update: Tensor = self.mlp(self.norm2(x))
        return x + update


class CrossAttentionBlock(nn.Module):
    """As `SelfAttentionBlock`, attending to another set of tokens."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.norm_context = nn.LayerNorm(dim)
        self.cross_attn = nn.MultiheadAttention(dim, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x, context = self.norm1(x), self.norm_context(context)
        x = x + self.cross_attn(x, context, context, need_weights=False)[0]
        update: Tensor = self.mlp(self.norm2(x))
        return x + update


class UpdateFormer(nn.Module):
    """Attention along each track, then between tracks by way of a few virtual ones."""

    def __init__(self, dim_in: int, dim_out: int, options: TrackHeadOptions) -> None:
        super().__init__()
        dim, heads, depth = options.hidden_size, options.num_heads, options.depth
        self.input_norm = nn.LayerNorm(dim_in)
        self.input_transform = nn.Linear(dim_in, dim)
        # Spelt as in the published state dict.
        self.virual_tracks = nn.Parameter(torch.randn(1, options.num_virtual_tracks, 1, dim))
        self.time_blocks = nn.ModuleList(SelfAttentionBlock(dim, heads) for _ in range(depth))
        self.space_virtual_blocks = nn.ModuleList(
            SelfAttentionBlock(dim, heads) for _ in range(depth)
        )
        self.space_point2virtual_blocks = nn.ModuleList(
            CrossAttentionBlock(dim, heads) for _ in range(depth)
        )
        self.space_virtual2point_blocks = nn.ModuleList(
            CrossAttentionBlock(dim, heads) for _ in range(depth)
        )
        self.output_norm = nn.LayerNorm(dim)
        self.flow_head = nn.Linear(dim, dim_out)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                xavier_uniform_(module.weight)
                zeros_(module.bias)
        trunc_normal_(self.flow_head.weight, std=0.001)

    def forward(self, tokens: Tensor) -> Tensor:
        """Updates [B, N, S, dim_out] for tokens [B, N, S, dim_in] of N tracks over S frames."""
        batch, num_points, frames, _ = tokens.shape
        embedded = self.input_transform(self.input_norm(tokens))
        virtual = self.virual_tracks.expand(batch, -1, frames, -1)
        x = torch.cat([embedded, virtual], dim=1)
        for time, to_virtual, among_virtual, to_points in zip(
            self.time_blocks,
            self.space_virtual2point_blocks,
            self.space_virtual_blocks,
            self.space_point2virtual_blocks,
            strict=True,
        ):
            x = torch.unflatten(time(x.flatten(0, 1)), 0, (batch, -1))
            by_frame = x.transpose(1, 2).flatten(0, 1)
            points, virtual = by_frame[:, :num_points], by_frame[:, num_points:]
            virtual = among_virtual(to_virtual(virtual, points))
            points = to_points(points, virtual)
            by_frame = torch.cat([points, virtual], dim=1)
            x = torch.unflatten(by_frame, 0, (batch, frames)).transpose(1, 2)
        out: Tensor = self.flow_head(self.output_norm(x[:, :num_points] + embedded))
        return out


class Tracker(nn.Module):
    """Tracks of query points through feature maps."""

    def __init__(self, options: TrackHeadOptions) -> None:
        super().__init__()
        self.options = options
        latent = options.features
        window = 2 * options.corr_radius + 1
        token_dim = 2 * FLOW_CHANNELS + 4 + 2 * latent
        self.corr_mlp = Mlp(options.corr_levels * window**2, options.hidden_size, latent)
        self.query_ref_token = nn.Parameter(torch.randn(1, 2, token_dim))
        self.updateformer = UpdateFormer(token_dim, latent + 2, options)
        self.fmap_norm = nn.LayerNorm(latent)
        self.ffeat_norm = nn.GroupNorm(1, latent)
        self.ffeat_updater = nn.Sequential(nn.Linear(latent, latent), nn.GELU())
        self.vis_predictor = nn.Sequential(nn.Linear(latent, 1))
        self.conf_predictor = nn.Sequential(nn.Linear(latent, 1))

    def forward(
        self, query_points: Tensor, feature_maps: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Tracks after every iteration, visibilities and confidences in [0, 1].

        Args:
            query_points: [B, N, 2], (x, y) in pixels of the first frame.
            feature_maps: [B, S, C, h, w], one cell per `stride` pixels.

        Returns:
            Lists of coordinates [B, S, N, 2] in pixels; visibility and confidence [B, S, N].

        Raises:
            BenchError: maps too small for the correlation pyramid.
        """
        _, frames, _, height, width = feature_maps.shape
        smallest = 2 ** (self.options.corr_levels - 1)
        if min(height, width) < smallest:
            stride = self.options.stride
            raise BenchError(
                f"The track head got images of {width * stride} x {height * stride} pixels.",
                f"Both sides must be at least {smallest * stride} pixels.",
            )
        maps = self.fmap_norm(feature_maps.movedim(2, -1)).movedim(-1, 2)
        pyramid = [maps.flatten(0, 1)]
        for _ in range(self.options.corr_levels - 1):
            pyramid.append(avg_pool2d(pyramid[-1], kernel_size=2, stride=2))

        start = query_points / self.options.stride
        coords = start[:, None].expand(-1, frames, -1, -1)
        sampled = sample(maps[:, 0], start, padding="border")
        features = sampled.transpose(1, 2)[:, None].expand(-1, frames, -1, -1)
        place = torch.cat(
            [
                position_embedding(start[..., 0], width, self.query_ref_token.shape[-1] // 2),
                position_embedding(start[..., 1], height, self.query_ref_token.shape[-1] // 2),
            ],
            dim=-1,
        )
        reference = torch.cat(
            [self.query_ref_token[:, :1], self.query_ref_token[:, 1:].expand(-1, frames - 1, -1)],
            dim=1,
        )
        tracks = []
        for _ in range(self.options.iters):
            coords = coords.detach()
            correlation = self.corr_mlp(self._correlate(pyramid, features, coords))
            flow = coords - coords[:, :1]
            tokens = torch.cat([flow_embedding(flow), correlation, features], dim=-1)
            tokens = tokens.transpose(1, 2) + place[:, :, None] + reference[:, None]
            update = self.updateformer(tokens).transpose(1, 2)
            change = self.ffeat_norm(update[..., 2:].flatten(0, 2)).view_as(features)
            features = self.ffeat_updater(change) + features
            coords = coords + update[..., :2]
            coords = torch.cat([start[:, None], coords[:, 1:]], dim=1)
            tracks.append(coords * self.options.stride)
        visibility = self.vis_predictor(features).squeeze(-1).sigmoid()
        confidence = self.conf_predictor(features).squeeze(-1).sigmoid()
        return tracks, visibility, confidence

    def _correlate(self, pyramid: list[Tensor], features: Tensor, coords: Tensor) -> Tensor:
        """Correlations [B, S, N, levels * window^2] around coords [B, S, N, 2].

        The maps are sampled before they are multiplied by the track's feature, which is the same
        as sampling the correlation map, and needs a window instead of a map per track.
        """
        radius = self.options.corr_radius
        steps = torch.arange(-radius, radius + 1, dtype=coords.dtype, device=coords.device)
        # The window is x-major: that is how the weights of corr_mlp are laid out.
        window = torch.cartesian_prod(steps, steps)
        flat_coords, flat_features = coords.flatten(0, 1), features.flatten(0, 1)
        num_points, latent = flat_features.shape[1:]
        found = []
        for level, maps in enumerate(pyramid):
            places = flat_coords[:, :, None] / 2**level + window
            sampled = sample(maps, places.flatten(1, 2), padding="zeros")
            neighbours = torch.unflatten(sampled, -1, (num_points, -1))
            found.append(torch.einsum("fcnw,fnc->fnw", neighbours, flat_features))
        correlations = torch.unflatten(torch.cat(found, dim=-1), 0, coords.shape[:2])
        scale: float = latent**0.5
        return correlations / scale


def sample(maps: Tensor, places: Tensor, padding: str) -> Tensor:
    """Bilinear samples [n, C, P] of maps [n, C, h, w] at cells (x, y) [n, P, 2].

    (0, 0) is the centre of the first cell. padding: ``zeros`` or ``border`` outside.
    """
    extent = places.new_tensor([maps.shape[-1] - 1, maps.shape[-2] - 1]).clamp(min=1)
    grid = places * (2 / extent) - 1
    sampled: Tensor = grid_sample(
        maps, grid[:, None], mode="bilinear", padding_mode=padding, align_corners=True
    )
    return sampled.squeeze(2)


def flow_embedding(flow: Tensor) -> Tensor:
    """[..., 132] of flows [..., 2] in cells.

    Per axis 64 sines and cosines, interleaved, of linearly spaced frequencies; then the flow as a
    fraction of `MAX_FLOW`, twice.
    """
    steps = torch.arange(0, FLOW_CHANNELS, 2, dtype=flow.dtype, device=flow.device)
    angles = flow[..., None] * (steps * FLOW_FREQUENCY_STEP)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-3)
    fraction = flow / MAX_FLOW
    return torch.cat([waves, fraction, fraction], dim=-1)


def position_embedding(places: Tensor, count: int, channels: int) -> Tensor:
    """Sines and cosines [..., channels] of cell indices [...] in [0, count - 1].

    Between cells the embedding of the two neighbours is interpolated, outside that of the border
    is kept, as if sampled from a map.
    """
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float64) / half
    angles = torch.arange(count, dtype=torch.float64)[:, None] * POSITION_BASE**-exponents
    table = torch.cat([angles.sin(), angles.cos()], dim=-1).to(places)
    clamped = places.clamp(0, count - 1)
    below = clamped.floor()
    above = (below + 1).clamp(max=count - 1)
    weight = (clamped - below)[..., None]
    return table[below.long()] * (1 - weight) + table[above.long()] * weight
