//! What the library logs, as a test sees it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::Field;
use tracing::{Event, Metadata};

use super::listener::Listener;

/// Keeps what a part of the library logs.
#[derive(Clone)]
pub(crate) struct Log {
    part: &'static str,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub(crate) fn of(part: &'static str) -> Self {
        Self { part, lines: Arc::default() }
    }

    /// Whether a line that was logged contains this.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// The one line that was logged, which begins with its level.
    #[track_caller]
    pub(crate) fn only_line(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let [line] = &lines[..] else { panic!("not one line: {lines:#?}") };
        line.clone()
    }
}

impl Listener for Log {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && metadata.target().starts_with(self.part)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &Field, value: &dyn Debug| line += &format!(" {field}={value:?}"));
        self.lines.lock().unwrap().push(line);
    }
}
