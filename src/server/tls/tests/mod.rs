mod clients;
mod files;
mod handshakes;
mod identities;
mod reloading;
mod site;
mod wire;

use crate::clock::{Micros, SECOND};

/// 2026-01-01T00:00:00Z, the time of all tests.
const NOW: Micros = 1_767_225_600 * SECOND;
