//! Runtimes on several cores, in one call.

mod common;

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt, duplex};
use aio_runtime::net::TcpSocket;
use aio_runtime::task::{spawn_blocking, yield_now};
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Core, Handle, PerCore, Runtime, per_core};
use common::{ANY_PORT, Clean, panic_of, panic_text, rest, soon, wait_until};
use futures::future::{Either, pending, select};
use rustix::thread::{CpuSet, sched_getaffinity};

/// Stops all cores, and ends its own.
async fn stop(core: Core) -> io::Result<usize> {
    core.stop();
    stopped(core).await
}

/// A core that ends when it is told to.
async fn stopped(core: Core) -> io::Result<usize> {
    soon("the signal to stop", core.stopped()).await;
    assert!(core.is_stopped());
    rest().await;
    Ok(core.index())
}

fn mask() -> CpuSet {
    sched_getaffinity(None).unwrap()
}

fn only(cpu: usize) -> CpuSet {
    let mut only = CpuSet::new();
    only.set(cpu);
    only
}

/// The CPUs of this process.
fn own_cpus() -> Vec<usize> {
    let mask = mask();
    (0..CpuSet::MAX_CPU).filter(|&cpu| mask.is_set(cpu)).collect()
}

/// Threads of cores that are there now.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.starts_with("aio-core")).count()
}

/// AIO contexts that are there now.
fn contexts() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains("[aio]")).count()
}

/// Checks at its end that nothing of the cores is left.
fn clean_run<R>(test: impl FnOnce() -> R) -> R {
    let clean = Clean::begin();
    let cpus = mask();
    let result = test();
    // A thread that was joined is gone from here a moment later.
    wait_until("the threads are gone", || threads() == 0);
    assert_eq!(mask(), cpus, "the calling thread stays where it was");
    clean.end_without_runtime();
    result
}

fn reusing(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Tells each client the core's number, and returns the number of clients. A client that answers
/// stops all cores.
async fn tell_number(core: Core, addr: SocketAddr) -> io::Result<usize> {
    let listener = reusing(addr)?.listen(1024)?;
    let mut served = 0;
    while let Either::Left((accepted, _)) = select(pin!(listener.accept()), core.stopped()).await {
        let (mut client, _) = accepted?;
        client.write_all(&[core.index() as u8]).await?;
        served += 1;
        if client.read(&mut [0]).await? > 0 {
            core.stop();
        }
    }
    drop(listener);
    rest().await;
    Ok(served)
}

#[test]
fn all_cores_serve_one_port() {
    const CORES: usize = 3;
    clean_run(|| {
        let first = reusing(ANY_PORT.parse().unwrap()).unwrap();
        let addr = first.local_addr().unwrap();
        let clients = thread::spawn(move || {
            let mut seen = [0; CORES];
            let begin = Instant::now();
            // Until every listener is there, and the hash has chosen each.
            while seen.contains(&0) {
                assert!(begin.elapsed() < Duration::from_secs(10), "{seen:?}");
                let Ok(mut client) = TcpStream::connect(addr) else { continue };
                let mut number = [0];
                client.read_exact(&mut number).unwrap();
                seen[usize::from(number[0])] += 1;
            }
            let mut last = TcpStream::connect(addr).unwrap();
            let mut number = [0];
            last.read_exact(&mut number).unwrap();
            seen[usize::from(number[0])] += 1;
            last.write_all(b"q").unwrap();
            seen
        });
        let served = PerCore::new().cores(CORES).run(|core| tell_number(core, addr)).unwrap();
        assert_eq!(served, clients.join().unwrap());
    });
}

#[test]
fn outputs_come_in_order_and_futures_may_borrow() {
    clean_run(|| {
        let calls = AtomicU32::new(0);
        let names = PerCore::new().cores(4).run(async |core: Core| {
            calls.fetch_add(1, Ordering::Relaxed);
            assert_eq!((core.count(), core.cpu()), (4, None));
            // It need not be `Send`.
            let local = Rc::new(Cell::new(core.index()));
            // The last one ends first.
            sleep(Duration::from_millis(4 - core.index() as u64)).await;
            assert_eq!(local.get(), core.index());
            Ok::<_, io::Error>(thread::current().name().unwrap().to_owned())
        });
        assert_eq!(names.unwrap(), ["aio-core-0", "aio-core-1", "aio-core-2", "aio-core-3"]);
        assert_eq!(calls.into_inner(), 4);
    });
}

#[test]
fn an_error_of_one_core_stops_the_others_and_names_it() {
    clean_run(|| {
        let ended = Mutex::new(Vec::new());
        let error = PerCore::new().cores(4).run(async |core| {
            if core.index() == 2 {
                sleep(Duration::from_millis(1)).await;
                return Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
            }
            let index = stopped(core).await?;
            ended.lock().unwrap().push(index);
            Ok(())
        });
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with("core 2: "), "{error}");
        // The kernel's errno is behind the number.
        let cause = std::error::Error::source(error.get_ref().unwrap()).unwrap();
        assert_eq!(cause.downcast_ref::<io::Error>().unwrap().raw_os_error(), Some(libc::EADDRINUSE));
        let mut ended = ended.into_inner().unwrap();
        ended.sort_unstable();
        assert_eq!(ended, [0, 1, 3]);
    });
}

#[test]
fn an_error_need_not_be_of_io() {
    clean_run(|| {
        let error = PerCore::new().cores(1).run(async |_| Err::<(), _>("out of cheese")).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Other, "core 0: out of cheese".to_owned()));
    });
}

#[test]
fn a_panic_of_one_core_stops_the_others_and_goes_on() {
    clean_run(|| {
        let ended = AtomicU32::new(0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            PerCore::new().cores(3).run(async |core| {
                assert_ne!(core.index(), 1, "as it should");
                stopped(core).await?;
                ended.fetch_add(1, Ordering::Relaxed);
                Ok::<_, io::Error>(())
            })
        }));
        let text = panic_text(&*panicked.unwrap_err());
        assert!(text.contains("as it should"), "{text}");
        assert_eq!(ended.into_inner(), 2);
    });
}

#[test]
fn the_first_failure_counts() {
    clean_run(|| {
        let error = PerCore::new().cores(3).run(async |core| {
            if core.index() != 1 {
                core.stopped().await;
            }
            // That of core 1 comes first, and this is its consequence for the others.
            Err::<(), _>(format!("of {}", core.index()))
        });
        assert_eq!(error.unwrap_err().to_string(), "core 1: of 1");
    });
}

#[test]
fn any_core_and_any_thread_may_stop_them() {
    clean_run(|| {
        assert_eq!(PerCore::new().cores(3).run(stop).unwrap(), [0, 1, 2]);
        let (send, cores) = mpsc::channel::<Core>();
        let other = thread::spawn(move || {
            cores.recv().unwrap().stop();
            // The other cores may be about to send themselves.
            cores
        });
        let several = PerCore::new().cores(3).run(async |core| {
            send.send(core.clone()).unwrap();
            // Several tasks of a core may wait, and one may wait again.
            let task = aio_runtime::spawn(core.stopped());
            let mut again = core.stopped();
            soon("the signal", &mut again).await;
            soon("the signal, seen before", &mut again).await;
            soon("the signal in a task", task).await.unwrap();
            stopped(core).await
        });
        assert_eq!(several.unwrap(), [0, 1, 2]);
        drop(other.join().unwrap());
    });
}

#[test]
fn a_core_that_does_not_stop_is_cut_off() {
    clean_run(|| {
        let mut cores = PerCore::new();
        cores.cores(2).stop_timeout(Duration::from_millis(20));
        let begin = Instant::now();
        let error = cores.run(async |core| {
            if core.index() == 0 {
                return stop(core).await;
            }
            pending().await
        });
        assert!(begin.elapsed() >= Duration::from_millis(20));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().starts_with("core 1: its future has not ended within 20ms"), "{error}");
        // It does not hide why they were to stop.
        let error = cores.run(async |core| if core.index() == 0 { Err::<(), _>("no") } else { pending().await });
        assert_eq!(error.unwrap_err().to_string(), "core 0: no");
    });
}

#[test]
fn a_core_that_is_always_busy_is_cut_off() {
    clean_run(|| {
        let mut cores = PerCore::new();
        cores.cores(1).stop_timeout(Duration::from_millis(50));
        let begin = Instant::now();
        let error = cores.run(async |core| {
            core.stop();
            let (mut near, mut far) = duplex(1);
            // Each poll ends because the budget is used up.
            while begin.elapsed() < Duration::from_secs(10) {
                near.write_all(b"x").await?;
                far.read_exact(&mut [0]).await?;
            }
            Ok::<_, io::Error>(())
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= Duration::from_millis(50));
    });
}

#[test]
fn one_core_may_end_before_the_others() {
    clean_run(|| {
        let early = AtomicU32::new(0);
        let outputs = PerCore::new().cores(2).run(async |core| {
            if core.index() == 0 {
                early.fetch_add(1, Ordering::Release);
            } else {
                while early.load(Ordering::Acquire) == 0 {
                    yield_now().await;
                }
                sleep(Duration::from_millis(5)).await;
                assert!(!core.is_stopped(), "an end is not a failure");
            }
            Ok::<_, io::Error>(core.index())
        });
        assert_eq!(outputs.unwrap(), [0, 1]);
    });
}

#[test]
fn each_cpu_has_a_core_of_its_own() {
    clean_run(|| {
        let cpus = own_cpus();
        let whole = mask();
        let seen = per_core(async |core| {
            let pool = soon("a thread of the pool", spawn_blocking(mask)).await.unwrap();
            assert_eq!(pool, whole, "the pool's threads are not pinned");
            let expected = core.cpu().map_or(whole, only);
            assert_eq!(mask(), expected);
            Ok::<_, io::Error>(core.cpu())
        });
        let seen = seen.unwrap();
        let worth = thread::available_parallelism().unwrap().get();
        if worth < cpus.len() {
            assert_eq!(seen, vec![None; worth], "this container has less than its CPUs");
        } else {
            assert_eq!(seen, cpus.into_iter().map(Some).collect::<Vec<_>>());
        }
    });
}

#[test]
fn cores_run_where_they_are_told() {
    clean_run(|| {
        let whole = mask();
        let last = *own_cpus().last().unwrap();
        let on_one = PerCore::new().cpus([last]).run(async |core| {
            assert_eq!((core.cpu(), mask()), (Some(last), only(last)));
            Ok::<_, io::Error>(core.to_string())
        });
        assert_eq!(on_one.unwrap(), [format!("core 0 (CPU {last})")]);
        let anywhere = PerCore::new().cpus([last]).cores(2).run(async |_| Ok::<_, io::Error>(mask()));
        assert_eq!(anywhere.unwrap(), [whole; 2]);
    });
}

/// The error of cores that must not run.
#[track_caller]
fn refused(cores: &PerCore) -> io::Error {
    cores.run(async |_| -> io::Result<()> { panic!("it runs") }).unwrap_err()
}

#[test]
fn what_cannot_be_is_refused() {
    clean_run(|| {
        let says = |cores: &PerCore, text: &str| {
            let error = refused(cores);
            assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(text), "{error}");
        };
        says(PerCore::new().cores(0), "0 cores");
        says(PerCore::new().cpus([]), "no CPU");
        says(PerCore::new().cpus([1, 0, 1]), "CPU 1 is in the list twice");
        says(PerCore::new().cpus([1_000_000]), "there is no CPU 1000000");
        // Linux can have that many, and this host has fewer.
        let absent = CpuSet::MAX_CPU - 1;
        says(PerCore::new().cpus([absent]), &format!("core 0 (CPU {absent}): cannot pin its thread"));
    });
}

#[test]
fn the_quota_is_divided() {
    const CORES: usize = 48;
    let capacities = |cores: &mut PerCore| {
        let each = cores.cores(CORES).run(async |core| {
            let capacity = Handle::current().metrics().capacity;
            // All are there at the same time.
            sleep(Duration::from_millis(1)).await;
            Ok::<_, io::Error>((core.index(), capacity))
        });
        each.unwrap().into_iter().map(|(_, capacity)| capacity).max().unwrap()
    };
    clean_run(|| {
        let quota = std::fs::read_to_string("/proc/sys/fs/aio-max-nr").unwrap().trim().parse::<u64>().unwrap();
        let share = (quota / 2 / CORES as u64).clamp(64, 1000);
        // A ring is made of whole pages, of 128 events or 64 requests each.
        let most = capacities(&mut PerCore::new());
        assert!(most <= share + 64, "{most} of {quota}");
        // What is asked for is for each, or less where others hold the quota.
        let asked = capacities(PerCore::new().runtime(Builder::new().capacity(100)));
        assert!(asked <= 100 + 64, "{asked}");
        wait_until("the contexts are given back", || contexts() == 0);
    });
}

#[test]
fn a_runtime_is_not_blocked() {
    clean_run(|| {
        let runtime = Runtime::new().unwrap();
        let (file, text) = panic_of(|| runtime.block_on(async { per_core(stop) }));
        assert_eq!(file, file!());
        assert!(text.contains("PerCore::run within a runtime"), "{text}");
    });
}
