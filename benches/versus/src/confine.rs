//! What a container takes away: its default seccomp profile denies io_uring.

use anyhow::Result;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// From now on this process gets EPERM for io_uring, as it would under Docker's, containerd's or
/// Kubernetes' default.
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
