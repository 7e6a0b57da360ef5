"""What only the later notebooks need: corruptions, attacks and honest confidence, searches, several processes."""
