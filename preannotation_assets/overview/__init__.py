"""How what is published stands to what the warehouse has: for whoever runs this, in words and tables."""
