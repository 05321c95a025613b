//! Against real servers, which the environment names.
