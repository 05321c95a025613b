//! `artifactstore completions`

use clap_complete::generate;

use super::{Outcome, output};

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
    output::write(&script)?;
    Ok(true)
}
