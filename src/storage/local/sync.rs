//! The one place that asks the kernel to make something durable.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// What is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The bytes written so far, while more are coming.
    Progress,
    /// A finished file.
    File,
    /// The names in a folder.
    Folder,
}

/// How to make a file or folder durable. A value and not a function, so that a test can fail one.
#[derive(Clone)]
pub(super) struct Fsync(Arc<FsyncFn>);

type FsyncFn = dyn Fn(Scope, &File) -> io::Result<()> + Send + Sync;

impl Fsync {
    pub(super) fn real() -> Self {
        Self::with(|scope, file| match scope {
            Scope::Progress => file.sync_data(),
            Scope::File | Scope::Folder => file.sync_all(),
        })
    }

    pub(super) fn with(sync: impl Fn(Scope, &File) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sync))
    }

    pub(super) fn run(&self, scope: Scope, file: &File) -> io::Result<()> {
        (self.0)(scope, file)
    }
}

impl fmt::Debug for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fsync")
    }
}
