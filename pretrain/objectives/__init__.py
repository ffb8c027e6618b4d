"""What is minimized in training and measured in evaluation."""
