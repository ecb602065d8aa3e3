"""Pages of ``docs/`` that are written from the code: ``python -m goldmill.docs`` (``make docs``)."""
