//! Random drops, cancels, timeouts and closes over sockets and files, each byte checked, and what
//! is left behind counted.
//!
//! One world after another: a runtime, some actors in it, and a share of the operations. A world
//! either comes to rest, and then holds nothing; or its runtime is dropped with everything in
//! flight. After each world the process has the descriptors that it had before. The same seed gives
//! the same choices, though not the same timing.

mod actors;
mod failure;
mod files;
mod random;
mod streams;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use world::{Plan, World};

const HELP: &str = "\
soak: random drops, cancels, timeouts and closes, with a byte-exact check

    --seed N       the choices to make (default: by the clock)
    --ops N        operations (default: 1000000)
    --per-world N  operations per runtime (default: 50000)
    --capacity N   AIO requests of a runtime (default: 1, 16, 64 or 1000, at random)";

fn main() -> ExitCode {
    let mut plan = Plan { seed: fastrand::u64(..), ops: 1_000_000, per_world: 50_000, capacity: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|value| value.parse::<u64>().ok());
        let parsed = match arg.as_str() {
            "--seed" => number().map(|n| plan.seed = n),
            "--ops" => number().map(|n| plan.ops = n),
            "--per-world" => number().map(|n| plan.per_world = n.max(1)),
            "--capacity" => number().and_then(|n| u32::try_from(n).ok()).map(|n| plan.capacity = Some(n.max(1))),
            _ => None,
        };
        if parsed.is_none() {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    }
    println!("seed {}", plan.seed);
    failure::ends_the_program(plan.seed);
    let begin = Instant::now();
    for number in 0.. {
        let done = failure::operations();
        if done >= plan.ops {
            break;
        }
        World::new(&plan, number, plan.per_world.min(plan.ops - done)).run();
    }
    println!("{} operations in {:.1?}: nothing lost, nothing left", failure::operations(), begin.elapsed());
    ExitCode::SUCCESS
}
