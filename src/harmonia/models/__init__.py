"""Small reference networks that several stages share; each module imports torch, this package does not."""
