//! The integration tests, one binary: linking once is most of the time they take.

mod layers;
