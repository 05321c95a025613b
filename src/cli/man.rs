//! `artifactstore man`

use std::fs;
use std::path::Path;

use clap_mangen::Man;

use super::{Failure, Outcome, output};

/// Prints the page of the program, or writes it and one per command to a folder.
pub(super) fn man(command: clap::Command, folder: Option<&Path>) -> Outcome {
    match folder {
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            output::write(&page)?;
        }
        Some(folder) => {
            let failed = |error| Failure(format!("cannot write to {}: {error}", folder.display()));
            fs::create_dir_all(folder).map_err(failed)?;
            clap_mangen::generate_to(command, folder).map_err(failed)?;
        }
    }
    Ok(true)
}
