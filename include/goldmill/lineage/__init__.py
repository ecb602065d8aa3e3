"""OpenLineage: Goldmill's own facets and the events that the integrations cannot know of."""
