//! How big a workload is: how many things at once, how long the messages, and what else tells one
//! case from another.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Connections that talk, transfers in flight, or tasks.
    pub many: usize,
    /// The length of a message in bytes, where it belongs to the case.
    pub message: Option<usize>,
    /// Connections opened before all others, which stay silent.
    pub idle: usize,
    pub choice: Choice,
    /// Requests per second in an open loop; none in a closed loop.
    pub rate: Option<u32>,
}

/// How the load generator chooses the blocks that it requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    #[default]
    Uniform,
    Zipf,
}

impl Case {
    pub const fn of(many: usize) -> Case {
        Case { many, message: None, idle: 0, choice: Choice::Uniform, rate: None }
    }

    pub const fn sized(self, message: usize) -> Case {
        Case { message: Some(message), ..self }
    }

    pub const fn beside(self, idle: usize) -> Case {
        Case { idle, ..self }
    }

    pub const fn zipf(self) -> Case {
        Case { choice: Choice::Zipf, ..self }
    }

    pub const fn at_rate(self, rate: u32) -> Case {
        Case { rate: Some(rate), ..self }
    }
}

/// `64 x 1000 B`, `64 x 64 B + 12000 idle`, `32 zipf`, `32 at 15000/s`.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.many == 0 {
            return write!(f, "{} idle", self.idle);
        }
        write!(f, "{}", self.many)?;
        if let Some(bytes) = self.message {
            write!(f, " x {bytes} B")?;
        }
        if self.idle > 0 {
            write!(f, " + {} idle", self.idle)?;
        }
        if self.choice == Choice::Zipf {
            write!(f, " zipf")?;
        }
        if let Some(rate) = self.rate {
            write!(f, " at {rate}/s")?;
        }
        Ok(())
    }
}
