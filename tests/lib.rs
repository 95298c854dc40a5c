//! The tests are in `suite/`, one binary that runs msb as its users do.
