"""``preannotate compare``: models, label schemes and settings held against each other on reviewed pages."""
