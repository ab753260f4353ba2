//! Counts answers, and takes the marks at both ends of the window.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::measure::{Gauge, Latencies, Mark, Measurement, Window, latencies};

/// No answer at all for this long means that the server has lost some.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Meter {
    gauge: Gauge,
    window: Window,
    opens: Instant,
    from: Option<Mark>,
    answers: u64,
    latencies: Latencies,
    last_answer: Instant,
}

impl Meter {
    pub fn new(server: u32, window: Window) -> Meter {
        let now = Instant::now();
        Meter {
            gauge: Gauge::of(server, window),
            window,
            opens: now + window.warmup,
            from: None,
            answers: 0,
            latencies: latencies(),
            last_answer: now,
        }
    }

    pub fn answered(&mut self, latency: Duration) {
        self.answers += 1;
        if self.from.is_some() {
            self.latencies.saturating_record(latency.as_nanos() as u64);
        }
    }

    /// To be called once per turn of the loop, with the number of its answers. Returns the result
    /// when the window closes.
    pub fn turn(&mut self, answers: usize) -> Result<Option<Measurement>> {
        let now = Instant::now();
        if answers > 0 {
            self.last_answer = now;
        }
        ensure!(now - self.last_answer < PATIENCE, "no answer for {PATIENCE:?}");
        match &self.from {
            None if now >= self.opens => {
                // This may be long after it was to open, if the thread did not get the core.
                self.opens = now;
                self.from = Some(self.gauge.mark(self.answers)?);
            }
            Some(from) if now >= self.opens + self.window.counted => {
                let to = self.gauge.mark(self.answers)?;
                return Ok(Some(self.gauge.measure(from, &to, Some(&self.latencies))?));
            }
            None | Some(_) => {}
        }
        Ok(None)
    }
}
