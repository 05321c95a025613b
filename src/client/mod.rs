//! A client of any OCI registry: packs directories as evidence packages, and brings packages back.
//!
//! ```text
//! let client = Client::new(job.to.server.clone(), Credentials::from_environment())?;
//! let sources: Vec<Source> = tree::walk(directory, SkipSpecial(false))?;
//! let pushed: Pushed = push(&client, job, &Arc<Progress>).await?;
//! ```

mod error;
pub mod place;
mod progress;
pub mod push;

pub use error::Error;
pub use place::{Place, Server};
pub use progress::{Phase, Progress};
pub use push::{Job, Pushed, Source};
