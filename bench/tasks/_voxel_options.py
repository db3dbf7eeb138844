"""Options of the voxel score."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class VoxelSize(BaseModel):
    """Side of a voxel, given in one of three ways.

    relative: a fraction of the view set's median depth; metres: refused where the data are not
    metric; units: in whatever unit the data have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    relative: PositiveFloat | None = None
    metres: PositiveFloat | None = None
    units: PositiveFloat | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> VoxelSize:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("give one of relative, metres and units")
        return self


class Options(BaseModel):
    """Parameters of the task.

    preset: ``v1``, or the published score with its defects. voxel: default 0.04 of the median
    depth; the legacy preset needs the published size of its dataset. point: the 3D point of a
    patch, the mean of its known pixels or the pixel under its centre. edge_filter: drop patches
    across depth edges. min_valid: share of known pixels that ``masked_mean`` asks of a patch.
    max_pairs: positives, and negatives, drawn for the plain AUROC. All but preset and voxel belong
    to v1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["v1", "legacy-3dfeatprobe"] = "v1"
    voxel: VoxelSize | None = None
    point: Literal["masked_mean", "centre"] = "masked_mean"
    edge_filter: bool = True
    min_valid: float = Field(0.5, gt=0, le=1)
    max_pairs: int = Field(20_000, ge=1)

    @model_validator(mode="after")
    def _no_contradiction(self) -> Options:
        if self.preset == "v1":
            if self.point == "centre" and "min_valid" in self.model_fields_set:
                raise ValueError("min_valid belongs to point: masked_mean, not to centre")
            return self
        foreign = sorted(self.model_fields_set - {"preset", "voxel"})
        if foreign:
            raise ValueError(f"{', '.join(foreign)} cannot be chosen in {self.preset}")
        if self.voxel is None or self.voxel.relative is not None:
            raise ValueError(
                f"{self.preset} needs an absolute voxel; published: {{units: 0.7}} on BlendedMVS,"
                " {metres: 0.3} on ScanNet++V2"
            )
        return self

    @property
    def voxel_size(self) -> VoxelSize:
        return self.voxel or VoxelSize(relative=0.04)
