"""What each Spark job of the corpus line does, as functions of a stage context."""
