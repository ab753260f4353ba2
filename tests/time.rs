//! Sleeps and time limits.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use aio_runtime::io::AsyncReadExt;
use aio_runtime::spawn;
use aio_runtime::task::yield_now;
use aio_runtime::time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at};
use common::{Dropped, counter, run, soon, stream_and_peer};
use futures::FutureExt;
use futures::future::{Either, ready, select};

const MS: Duration = Duration::from_millis(1);

/// Counts the wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn number(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll_with(sleep: Pin<&mut Sleep>, wakes: &Arc<Wakes>) -> Poll<()> {
    let waker = Waker::from(wakes.clone());
    sleep.poll(&mut Context::from_waker(&waker))
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    run(async {
        let ended = Rc::new(RefCell::new(Vec::new()));
        let begin = Instant::now();
        let delays = [7, 3, 9, 1, 5, 3, 8];
        let tasks = delays.map(|delay| {
            let ended = ended.clone();
            spawn(async move {
                sleep_until(begin + delay * MS).await;
                assert!(begin.elapsed() >= delay * MS, "too early");
                ended.borrow_mut().push(delay);
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*ended.borrow(), [1, 3, 3, 5, 7, 8, 9]);
    });
}

#[test]
fn a_deadline_in_the_past() {
    run(async {
        let begin = Instant::now();
        soon("the past", sleep_until(begin - Duration::from_secs(1))).await;
        soon("now", sleep_until(begin)).await;
        soon("nothing", sleep(Duration::ZERO)).await;
        assert!(sleep_until(begin).is_elapsed());
    });
}

#[test]
fn one_nanosecond() {
    run(async {
        for _ in 0..100 {
            soon("a nanosecond", sleep(Duration::from_nanos(1))).await;
        }
    });
}

#[test]
fn the_longest_duration_does_not_end_at_once() {
    run(async {
        let endless = sleep(Duration::MAX);
        assert!(endless.deadline() > Instant::now() + Duration::from_secs(365 * 24 * 3600));
        assert!(timeout(2 * MS, endless).await.is_err());
        assert_eq!(timeout(Duration::MAX, sleep(MS)).await, Ok(()));
    });
}

#[test]
fn sleeps_are_finer_than_a_millisecond() {
    run(async {
        let short = Duration::from_micros(300);
        let mut best = Duration::MAX;
        // A busy machine is late most of the time, but not always.
        for _ in 0..1000 {
            let begin = Instant::now();
            sleep(short).await;
            let took = begin.elapsed();
            assert!(took >= short, "too early");
            best = best.min(took);
            if best < 3 * short {
                return;
            }
        }
        panic!("a sleep of {short:?} never took less than {best:?}");
    });
}

#[test]
fn a_sleep_that_has_ended_stays_ended() {
    run(async {
        let mut sleep = pin!(sleep(MS));
        sleep.as_mut().await;
        assert!(sleep.is_elapsed());
        sleep.as_mut().await;
    });
}

#[test]
fn the_latest_waker_is_woken() {
    run(async {
        let mut sleep = pin!(sleep(5 * MS));
        let (first, second) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
        assert!(poll_with(sleep.as_mut(), &first).is_pending());
        assert!(poll_with(sleep.as_mut(), &second).is_pending());
        while second.number() == 0 {
            yield_now().await;
        }
        assert_eq!((first.number(), second.number()), (0, 1));
        assert!(poll_with(sleep.as_mut(), &first).is_ready());
    });
}

#[test]
fn reset_to_a_later_deadline() {
    run(async {
        let begin = Instant::now();
        let mut sleep = pin!(sleep_until(begin + 2 * MS));
        assert!(poll_with(sleep.as_mut(), &Arc::default()).is_pending());
        sleep.as_mut().reset(begin + 20 * MS);
        assert_eq!(sleep.deadline(), begin + 20 * MS);
        soon("the later deadline", sleep.as_mut()).await;
        assert!(begin.elapsed() >= 20 * MS);
    });
}

#[test]
fn reset_to_an_earlier_deadline() {
    run(async {
        let mut sleep = pin!(sleep(Duration::from_secs(3600)));
        assert!(poll_with(sleep.as_mut(), &Arc::default()).is_pending());
        sleep.as_mut().reset(Instant::now() + MS);
        soon("the earlier deadline", sleep).await;
    });
}

#[test]
fn reset_keeps_the_waker() {
    run(async {
        let mut sleep = pin!(sleep(Duration::from_secs(3600)));
        let wakes = Arc::<Wakes>::default();
        assert!(poll_with(sleep.as_mut(), &wakes).is_pending());
        // As in tokio, the new deadline counts without another poll.
        sleep.as_mut().reset(Instant::now() + MS);
        let waken = async {
            while wakes.number() == 0 {
                aio_runtime::time::sleep(MS).await;
            }
        };
        soon("the wake", waken).await;
        assert!(poll_with(sleep.as_mut(), &wakes).is_ready());
    });
}

#[test]
fn reset_after_the_end() {
    run(async {
        let mut sleep = pin!(sleep(MS));
        for _ in 0..5 {
            let begin = Instant::now();
            soon("the next end", sleep.as_mut()).await;
            sleep.as_mut().reset(begin + 2 * MS);
            soon("the end after a reset", sleep.as_mut()).await;
            assert!(begin.elapsed() >= 2 * MS);
        }
    });
}

#[test]
fn reset_after_the_timer_has_fired_unseen() {
    run(async {
        let mut sleep = pin!(sleep(MS));
        let wakes = Arc::<Wakes>::default();
        assert!(poll_with(sleep.as_mut(), &wakes).is_pending());
        while wakes.number() == 0 {
            yield_now().await;
        }
        let later = Instant::now() + 10 * MS;
        sleep.as_mut().reset(later);
        soon("the later deadline", sleep).await;
        assert!(Instant::now() >= later);
    });
}

#[test]
fn a_dropped_sleep_wakes_nobody() {
    run(async {
        let wakes = Arc::<Wakes>::default();
        let mut dropped: Vec<_> = (1..20).map(|ms| Box::pin(sleep(ms * MS))).collect();
        for sleep in &mut dropped {
            assert!(poll_with(sleep.as_mut(), &wakes).is_pending());
        }
        drop(dropped);
        assert_eq!(Arc::strong_count(&wakes), 1, "nothing keeps the waker");
        sleep(30 * MS).await;
        assert_eq!(wakes.number(), 0);
    });
}

#[test]
fn forgotten_sleeps_are_harmless() {
    run(async {
        let mut sleep = Box::pin(sleep(MS));
        assert!(poll_with(sleep.as_mut(), &Arc::default()).is_pending());
        std::mem::forget(sleep);
        aio_runtime::time::sleep(5 * MS).await;
    });
}

#[test]
fn a_hundred_thousand_sleeps() {
    run(async {
        const SLEEPS: u32 = 100_000;
        let ended = Rc::new(Cell::new(0));
        let begin = Instant::now();
        for number in 0..SLEEPS {
            let ended = ended.clone();
            // Not in the order of their deadlines.
            let delay = Duration::from_micros(u64::from(number.wrapping_mul(2_654_435_761) % 100_000));
            drop(spawn(async move {
                sleep_until(begin + delay).await;
                assert!(begin.elapsed() >= delay);
                ended.set(ended.get() + 1);
            }));
        }
        while ended.get() < SLEEPS {
            sleep(MS).await;
        }
    });
}

#[test]
fn a_hundred_thousand_sleeps_dropped() {
    run(async {
        let mut sleeps: Vec<_> = (0..100_000).map(|ms| Box::pin(sleep((ms + 10_000) * MS))).collect();
        for sleep in &mut sleeps {
            assert!(poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await.is_pending() || sleep.is_elapsed());
            // Refills the budget, which is used up now and then.
            yield_now().await;
        }
        drop(sleeps);
        soon("another sleep", sleep(MS)).await;
    });
}

#[test]
fn timeout_of_a_ready_future() {
    run(async {
        assert_eq!(timeout(Duration::from_secs(3600), async { 1 }).await, Ok(1));
        assert_eq!(timeout(Duration::ZERO, async { 2 }).await, Ok(2), "what is ready wins");
        assert_eq!(timeout_at(Instant::now() - MS, async { 3 }).await, Ok(3));
        let late = async {
            sleep(MS).await;
            4
        };
        assert_eq!(timeout(Duration::from_secs(3600), late).await, Ok(4));
    });
}

#[test]
fn timeout_of_a_slow_future() {
    run(async {
        let drops = counter();
        let guard = Dropped(drops.clone());
        let begin = Instant::now();
        let slow = async move {
            let _guard = guard;
            pending::<()>().await
        };
        let elapsed = soon("the time limit", timeout(5 * MS, slow)).await.unwrap_err();
        assert!(begin.elapsed() >= 5 * MS);
        assert_eq!(drops.get(), 1);
        assert_eq!(elapsed.to_string(), "deadline has elapsed");
        assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
        assert!(timeout_at(begin, pending::<()>()).await.is_err());
    });
}

#[test]
fn timeout_gives_the_future_back() {
    run(async {
        let mut limited = timeout(MS, Box::pin(sleep(10 * MS)));
        assert!((&mut limited).now_or_never().is_none());
        soon("the future without its limit", limited.into_inner()).await;
    });
}

#[test]
fn timeout_of_a_future_that_never_lets_the_loop_sleep() {
    run(async {
        let spins = async {
            loop {
                yield_now().await;
            }
        };
        soon("the time limit", timeout(5 * MS, spins)).await.unwrap_err();
    });
}

#[test]
fn timeout_of_a_future_that_uses_up_the_budget() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        let always_ready = async {
            loop {
                stream.peek(&mut [0]).await.unwrap();
            }
        };
        timeout(5 * MS, always_ready).await.unwrap_err();
        drop(peer);
        (&stream).read_exact(&mut [0]).await.unwrap();
    });
}

/// "Take what comes, until a deadline": each round makes a new sleep, and drops it before the loop
/// has looked.
#[test]
fn a_deadline_passes_for_a_sleep_that_is_remade_in_each_round() {
    run(async {
        let begin = Instant::now();
        let deadline = begin + Duration::from_millis(10);
        while let Either::Right(_) = select(sleep_until(deadline), ready(())).await {
            yield_now().await;
            assert!(begin.elapsed() < Duration::from_secs(10), "the deadline has long passed");
        }
        assert!(Instant::now() >= deadline);
    });
}
