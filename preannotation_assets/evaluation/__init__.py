"""What experts made of the suggestions: agreement, scores, actions, losses, reliability. Pure."""
