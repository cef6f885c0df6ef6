"""Many datasets under one sensor."""
