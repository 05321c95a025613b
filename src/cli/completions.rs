//! `artifactstore completions`

use std::io::Write as _;

use clap_complete::generate;

use super::{Failure, Outcome};

/// The shells there are completions for.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn completions(mut command: clap::Command, shell: Shell) -> Outcome {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Collected first: the generator takes a closed pipe for a reason to panic.
    let mut script = Vec::new();
    generate(shell, &mut command, "artifactstore", &mut script);
    let written = std::io::stdout().lock().write_all(&script);
    written.map_err(|error| Failure(format!("cannot write the result: {error}")))?;
    Ok(true)
}
