//! The map itself: data that the rules read.

/// The roots of the crates whose paths are followed.
pub(crate) const LIBRARY: &str = "lib.rs";
pub(crate) const VERSUS: &str = "benches/versus/src/main.rs";

/// The folders of the library.
pub(crate) const FOLDERS: &[&str] = &["fs", "io", "net", "runtime", "reactor"];

/// Each floor (a folder or a file), with what its code may name besides itself. A floor inside
/// another one keeps the rules of both. Tests keep them too: those of several floors of the reactor
/// are in [`REACTOR_TESTS`].
pub(crate) const FLOORS: &[(&str, &[&str])] = &[
    ("fs", &["runtime", "reactor"]),
    ("io", &["runtime", "reactor"]),
    ("net", &["runtime", "reactor"]),
    ("runtime", &["reactor"]),
    ("reactor", &[]),
    (
        "reactor/driver",
        &[
            "reactor/requests",
            "reactor/readiness",
            "reactor/kernel",
            "reactor/ids.rs",
            "reactor/buf.rs",
            "reactor/error.rs",
            "reactor/metrics.rs",
            "reactor/unpark.rs",
        ],
    ),
    ("reactor/requests", &["reactor/ids.rs", "reactor/buf.rs"]),
    ("reactor/readiness", &["reactor/ids.rs"]),
    ("reactor/kernel", &["reactor/ids.rs", "reactor/error.rs", "reactor/wake.rs"]),
    ("reactor/ids.rs", &[]),
    ("reactor/wake.rs", &[]),
];

/// Words that the reactor does not know: tasks, sockets, addresses, paths.
pub(crate) const STRANGERS: &[&str] = &[
    "JoinHandle",
    "Runnable",
    "async_task",
    "block_on",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "SocketAddr",
    "ToSocketAddrs",
    "Path",
    "PathBuf",
];

/// The reactor's tests, which may use all of that, and `unsafe`.
pub(crate) const REACTOR_TESTS: &str = "reactor/tests";

/// Floors that only compute. They make no system call, as far as paths tell; a method may.
pub(crate) const PURE: &[&str] = &["reactor/requests", "reactor/readiness"];

/// Crates of which a pure floor may name types and constants, but no function.
pub(crate) const SYSTEM_CRATES: &[&str] = &["libc", "rustix"];

/// Modules of which a pure floor may name types, but none of their functions.
pub(crate) const SYSTEM_MODULES: &[&str] =
    &["std::fs", "std::net", "std::os::unix::net", "std::process", "std::thread"];

/// Where the library's `unsafe` is.
pub(crate) const DOORS: &[&str] = &["reactor/kernel", "runtime/task", "io/unix/async_fd.rs", "net/block/unfilled.rs"];

/// Whether a file is a floor, or lies in it.
pub(crate) fn is_in(file: &str, floor: &str) -> bool {
    file.strip_prefix(floor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
