//! What containers lack: their default seccomp profile denies io_uring.

use anyhow::Result;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// From now on io_uring's calls fail with EPERM in this process, as they do by default under
/// Docker, containerd and Kubernetes.
pub fn deny_io_uring() -> Result<()> {
    let denied = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    let filter = SeccompFilter::new(
        denied.into_iter().map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}
