//! The start: the error tells what to do, and a tight quota makes a smaller context.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

use super::{FOREVER, assert_all_complete};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::kernel::kioctx::Kioctx;
use crate::reactor::kernel::probe::probe;
use crate::reactor::tests::sleep::no_signals;
use crate::reactor::tests::{alone, config, fresh_capacity, run};
use crate::reactor::{Config, Reactor};

fn setup_error(errno: Errno) -> io::Error {
    fault::inject(Call::Setup, errno, FOREVER);
    let error = Reactor::new(config(fresh_capacity())).expect_err("io_setup fails");
    assert!(fault::clear());
    error
}

fn errno_of(error: &io::Error) -> Option<i32> {
    let explained = error.get_ref().expect("an error with its circumstances");
    explained.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}

#[test]
fn a_kernel_without_aio_is_named() {
    alone(|| {
        let error = setup_error(Errno::NOSYS);
        assert_eq!((error.kind(), errno_of(&error)), (ErrorKind::Unsupported, Some(libc::ENOSYS)));
        let text = error.to_string();
        assert!(text.starts_with("io_setup(") && text.contains("CONFIG_AIO"), "{text}");
    });
}

#[test]
fn a_policy_that_denies_aio_is_named() {
    alone(|| {
        for errno in [Errno::PERM, Errno::ACCESS, Errno::OPNOTSUPP, Errno::XDEV] {
            let error = setup_error(errno);
            assert_eq!(errno_of(&error), Some(errno.raw_os_error()));
            let text = error.to_string();
            assert!(text.contains("seccomp") && text.contains("io_pgetevents"), "{text}");
        }
    });
}

#[test]
fn a_quota_that_is_used_up_is_named_with_its_knob_and_its_value() {
    alone(|| {
        fault::inject(Call::Setup, Errno::AGAIN, FOREVER);
        let error = Kioctx::setup(1024).expect_err("io_setup fails");
        assert!(fault::clear());
        assert_eq!((error.kind(), errno_of(&error)), (ErrorKind::WouldBlock, Some(libc::EAGAIN)));
        let text = error.to_string();
        let limit = std::fs::read_to_string("/proc/sys/fs/aio-max-nr").unwrap();
        assert!(text.starts_with("io_setup(1): "), "halved down to 1, which is refused as well: {text}");
        assert!(text.contains(&format!("fs.aio-max-nr {},", limit.trim())), "{text}");
        assert!(text.contains("sysctl -w fs.aio-max-nr="), "{text}");
    });
}

#[test]
fn a_quota_that_is_nearly_used_up_halves_the_capacity() {
    alone(|| {
        let capacity = |failures| {
            fault::inject(Call::Setup, Errno::AGAIN, failures);
            Kioctx::setup(1024).unwrap().capacity()
        };
        let (whole, half, eighth, least) = (capacity(0), capacity(1), capacity(3), capacity(10));
        assert!(whole >= 1024 && half >= 512 && eighth >= 128 && least >= 1);
        assert!(whole > half && half > eighth && eighth > least, "{whole} {half} {eighth} {least}");
        fault::clear();
    });
    // The reactor works with what it gets. A request too large for any context is halved likewise.
    for errno in [Errno::AGAIN, Errno::INVAL] {
        alone(|| {
            fault::inject(Call::Setup, errno, 6);
            run(config(fresh_capacity()), |reactor| assert_all_complete(reactor, || {}));
        });
    }
}

#[test]
fn a_signal_mask_that_cannot_be_installed_is_an_error_at_the_start() {
    alone(|| {
        fault::inject(Call::Pgetevents, Errno::PERM, 1);
        let masked = Config { signal_mask: Some(no_signals()), ..config(fresh_capacity()) };
        let error = Reactor::new(masked).expect_err("io_getevents takes no signal mask");
        assert_eq!(errno_of(&error), Some(libc::EPERM));
        assert!(error.to_string().contains("io_pgetevents"), "{error}");
    });
}

#[test]
fn the_probe_names_the_call_that_fails() {
    alone(|| {
        let mut kioctx = Kioctx::setup(1).unwrap();
        for (faults, named) in [
            (&[(Call::Submit, Errno::INVAL)][..], "io_submit(IOCB_CMD_POLL)"),
            (&[(Call::Submit, Errno::PERM)], "io_submit(IOCB_CMD_POLL)"),
            (&[(Call::Cancel, Errno::NOSYS)], "io_cancel"),
            (&[(Call::Getevents, Errno::PERM), (Call::Pgetevents, Errno::PERM)], "io_getevents"),
        ] {
            for (call, errno) in faults {
                fault::inject(*call, *errno, 1);
            }
            let error = io::Error::from(probe(&mut kioctx).unwrap_err());
            assert!(error.to_string().starts_with("cannot start the reactor: "), "{error}");
            assert!(error.to_string().contains(named), "{error}");
            assert_eq!(errno_of(&error), Some(faults[0].1.raw_os_error()));
            // Whatever the failed probe left in flight ends with its context.
            kioctx = Kioctx::setup(1).unwrap();
        }
        probe(&mut kioctx).unwrap();
    });
}

#[test]
fn the_probe_passes_under_a_storm_of_signals() {
    alone(|| {
        let mut kioctx = Kioctx::setup(1).unwrap();
        fault::inject(Call::Getevents, Errno::INTR, 1_000);
        probe(&mut kioctx).unwrap();
    });
}
