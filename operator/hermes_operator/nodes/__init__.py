"""The nodes as the operator knows them: their admin endpoints, what they tell, and what it comes to."""
