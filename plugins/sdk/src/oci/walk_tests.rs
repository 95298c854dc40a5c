//! Tests of the walk from an index to its images.
