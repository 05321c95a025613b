"""The conformance gate: builds the official suites, runs them against the real server, judges."""
