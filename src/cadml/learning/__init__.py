"""A vector becomes a label: model files judged, trained, served, swapped and rolled back."""
