"""Where services keep things."""
