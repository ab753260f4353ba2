//! A failure ends the program, wherever it is found, and says how to find it again.

use std::panic::{set_hook, take_hook};
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Nothing that the program does takes as long without an operation in between.
const STUCK: Duration = Duration::from_secs(150);

static WORLD: AtomicU64 = AtomicU64::new(0);
static OPERATION: AtomicU64 = AtomicU64::new(0);

/// Ends the program at the first panic, or when no operation comes any more.
///
/// A panic of a task goes to whoever awaits it. Nobody does if the task is aborted, or dropped with
/// its runtime, so it is the hook that counts and not the task's output.
pub(crate) fn ends_the_program(seed: u64) {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        let world = WORLD.load(Ordering::Relaxed);
        eprintln!("\nFAILED: seed {seed}, world {world}, operation {}", operations());
        print(panic);
        exit(1);
    }));
    thread::spawn(|| {
        loop {
            let before = operations();
            thread::sleep(STUCK);
            assert!(operations() > before, "no operation for {STUCK:?}");
        }
    });
}

pub(crate) fn note_world(number: u64) {
    WORLD.store(number, Ordering::Relaxed);
}

pub(crate) fn note_operation() {
    OPERATION.fetch_add(1, Ordering::Relaxed);
}

/// How many there have been.
pub(crate) fn operations() -> u64 {
    OPERATION.load(Ordering::Relaxed)
}
