//! One runtime for everything that is not a thread: proxies, clients of the services, logs.

use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// Lives as long as the process.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime can be built"))
}

/// Runs a future to its end. For threads that are not of the runtime.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}
