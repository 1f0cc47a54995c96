"""What a person looks at: self-contained pages and tables for the terminal, drawn from stored figures alone."""
