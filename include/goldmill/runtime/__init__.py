"""What the machine must bring before Spark can run: a Java runtime and the pinned jars."""
