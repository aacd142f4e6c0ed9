"""Image sets that networks are trained on."""
