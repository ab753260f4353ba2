//! The root of the crate under the name of tokio, for tokio's own tests (`tests/conformance`):
//! where its names differ from ours, and what is tokio's own code because it needs no runtime.

pub use crate::runtime::time;
/// tokio's own as well, until there is ours: it compiles, so that the other tests of a file with
/// one test of processes can run, and it panics.
pub use real_tokio::process;
pub use real_tokio::{join, macros, main, pin, select, sync, task_local, test, try_join};

/// Our tasks, with tokio's task-locals and budget.
pub mod task {
    pub use crate::runtime::task::*;
    pub use real_tokio::task::coop::{consume_budget, cooperative};
    pub use real_tokio::task::{LocalKey, coop, futures, unconstrained};
}
