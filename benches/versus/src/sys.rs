//! What this package asks of the kernel about processes: where they run, what they have used, when
//! they end.

#![allow(unsafe_code)]

use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Confines this thread, and all threads it starts from now on, to one core.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// Ends this process when the thread that started it ends, so that an interrupted driver leaves
/// nothing behind.
pub fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Lets this process open as many files as its hard limit allows.
pub fn allow_many_files() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// The memory that a process has now, counted exactly.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    Ok(1024 * figure(pid, "smaps_rollup", "Rss:")?)
}

/// The most memory that a process has ever had.
pub fn peak_resident_bytes(pid: u32) -> Result<u64> {
    Ok(1024 * figure(pid, "status", "VmHWM:")?)
}

/// The bytes that a process has sent to the disk.
pub fn bytes_written(pid: u32) -> Result<u64> {
    figure(pid, "io", "write_bytes:")
}

/// The number after a name in a file of /proc.
fn figure(pid: u32, file: &str, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    let number = number.with_context(|| format!("{path} has no {name}"))?;
    number.parse().with_context(|| format!("{path} has {name} {number}"))
}

/// User and system time used so far by all threads, past and present, of a process.
///
/// Another process's clock can be read just like one's own. So a load generator reads the server's
/// at the very moment at which it counts the operations, and the server need not do anything.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut clock = 0;
    // SAFETY: `clock` is a live clockid_t to be written to. Any pid is allowed; an unknown one is
    // an error.
    let refused = unsafe { libc::clock_getcpuclockid(pid, &mut clock) };
    if refused != 0 {
        return Err(io::Error::from_raw_os_error(refused));
    }
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `used` is a live timespec to be written to, and `clock` comes from the C library.
    if unsafe { libc::clock_gettime(clock, &mut used) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(used.tv_sec as u64, used.tv_nsec as u32))
}

/// User and system time of this process and of all its children that have ended.
pub fn family_time() -> io::Result<Duration> {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].into_iter().try_fold(Duration::ZERO, |sum, who| Ok(sum + usage(who)?))
}

fn usage(who: libc::c_int) -> io::Result<Duration> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` has room for a rusage, all of which the kernel has filled on success.
    let usage = unsafe {
        if libc::getrusage(who, usage.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        usage.assume_init()
    };
    let time = |of: libc::timeval| Duration::new(of.tv_sec as u64, of.tv_usec as u32 * 1000);
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}
