"""The typed rules and thresholds that a recipe is made of; pure pydantic, importable everywhere."""
