"""The published recipe written plainly, to compare with: nothing is kept, fused or batched."""
