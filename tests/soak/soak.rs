//! Random drops, cancels, timeouts and closes over sockets and files, each byte checked, and what
//! is left behind counted.
//!
//! One world after another: a runtime, some actors in it, and a share of the operations. A world
//! either comes to rest, and then holds nothing; or its runtime is dropped with everything in
//! flight. After each world the process has the descriptors that it had before, and no AIO context.
//! The same seed gives the same choices, though not the same timing.

mod actors;
mod any_fd;
mod crowds;
mod failure;
mod files;
mod memory;
mod random;
mod streams;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use world::{Plan, Totals, World};

const HELP: &str = "\
soak: random drops, cancels, timeouts and closes, with a byte-exact check

    --seed N       the choices to make (default: by the clock)
    --ops N        operations (default: 1000000)
    --seconds N    begin no further runtime after this time
    --per-world N  operations per runtime (default: 50000)
    --capacity N   AIO requests of a runtime (default: 1, 16, 64, 1000 or 3000, at random)";

fn main() -> ExitCode {
    let mut plan = Plan { seed: fastrand::u64(..), ops: None, per_world: 50_000, capacity: None };
    let mut limit = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|value| value.parse::<u64>().ok());
        let parsed = match arg.as_str() {
            "--seed" => number().map(|n| plan.seed = n),
            "--ops" => number().map(|n| plan.ops = Some(n)),
            "--seconds" => number().map(|n| limit = Some(Duration::from_secs(n))),
            "--per-world" => number().map(|n| plan.per_world = n.max(1)),
            "--capacity" => number().and_then(|n| u32::try_from(n).ok()).map(|n| plan.capacity = Some(n.max(1))),
            _ => None,
        };
        if parsed.is_none() {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    }
    let ops = plan.ops.unwrap_or(if limit.is_some() { u64::MAX } else { 1_000_000 });
    println!("seed {}", plan.seed);
    failure::ends_the_program(plan.seed);
    allow_descriptors();
    let (begin, aio_nr_before) = (Instant::now(), world::aio_nr());
    let mut totals = Totals::default();
    for number in 0.. {
        let done = failure::operations();
        if done >= ops || limit.is_some_and(|limit| begin.elapsed() >= limit) {
            break;
        }
        World::new(&plan, number, plan.per_world.min(ops - done)).run(&mut totals);
    }
    println!("{totals}");
    println!("fs.aio-nr, of all processes: {aio_nr_before} before, {} now", world::aio_nr());
    println!("{} operations in {:.1?}: nothing lost, nothing left", failure::operations(), begin.elapsed());
    ExitCode::SUCCESS
}

/// Raises the limit of descriptors: the largest crowd has two for each stream, and some more are
/// for everything else.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = 2 * crowds::MOST as u64 + 1000;
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).unwrap();
    }
}
