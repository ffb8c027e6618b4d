"""What reads finished runs: records, look-ups, samples, explanations, exports."""
