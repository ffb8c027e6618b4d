"""Pages to text: the extractors, and what makes their text documents."""
