"""The machine below: files, memory and cores, units, start-up. Knows nothing of pictures."""
