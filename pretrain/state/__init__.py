"""What a run is between two processes: its folder, its checkpoints."""
