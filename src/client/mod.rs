//! A client of any OCI registry: packs directories as evidence packages, and brings packages back.
//!
//! Called by the commands of [`cli`](crate::cli), and by whoever produces packages in Rust. It speaks the
//! distribution API; what only this registry knows (package ids, drafts) it asks of the extension, and does without
//! it elsewhere. It never opens a registry itself.
//!
//! ```text
//! tree::walk ─> Source… ─> push::push(&Client, Job, &Progress) ─> Pushed
//!                          hash, HEAD, upload what is missing, compose, PUT the manifest
//! pull::pull(&Client, What, …) ─> every file compared with both digests before it has its name
//! verify::verify(directory)    ─> the same comparison later, without any server
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`place`] | [`Server`] and [`Place`]: which registry, which repository, which reference |
//! | `http`, `address`, `tls`, `retry`, `payload` | requests with retries, idle time-outs, redirects and streaming bodies |
//! | `auth`, [`credentials`] | challenges and tokens; docker's files and credential helpers |
//! | `blobs`, `manifests` | the distribution API |
//! | [`packages`], [`drafts`], [`download`] | the extension API |
//! | [`tree`], `digests`, [`mod@push`] | the way there |
//! | [`webhook`], `webhooks` | the other way round: deliveries to receivers; and the extension that sets them up |
//! | [`pull`], `receive`, `archives`, `restore`, [`verify`] | the way back |
//! | [`tail`] | following the log |

mod address;
mod archives;
mod audit;
mod auth;
mod blobs;
pub mod credentials;
mod digests;
mod disposition;
pub mod download;
pub mod drafts;
mod error;
mod http;
mod lock;
mod manifests;
pub mod packages;
mod payload;
pub mod place;
mod progress;
pub mod pull;
pub mod push;
mod receive;
mod restore;
mod retention;
mod retry;
mod shown;
#[cfg(test)]
mod slow;
mod stamps;
pub mod tail;
mod tls;
pub mod tree;
pub mod verify;
pub mod webhook;
mod webhooks;

pub use credentials::Credentials;
pub use error::Error;
pub use http::Client;
pub use place::{Place, Server};
pub use progress::{Phase, Progress};
pub use push::{Job, Pushed, Source, push};
pub use shown::{is_unseen, shown, shown_path};

/// Transfers under way at the same time.
const IN_FLIGHT: usize = 8;
