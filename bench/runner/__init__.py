"""The loop over models, datasets and view sets, and what keeps its work: cache and journal."""
