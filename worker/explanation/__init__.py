"""What an event is, in plain words: figures, evidence and what is known of its host in, a sentence out. Pure."""
