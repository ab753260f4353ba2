//! What is logged on a thread, as a test hears it. The integration tests have this module too.

use std::sync::LazyLock;

use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{Dispatch, Event, Metadata, Subscriber, span};

/// Hears what it wants of the events and the spans.
pub(crate) trait Listener: Send + Sync + 'static {
    fn wants(&self, metadata: &Metadata<'_>) -> bool;
    fn event(&self, _: &Event<'_>) {}
    fn new_span(&self, _: &Metadata<'_>) {}
    fn enter(&self) {}
    fn exit(&self) {}
}

/// Has a listener hear what `f` logs on this thread.
pub(crate) fn listen<R>(listener: impl Listener, f: impl FnOnce() -> R) -> R {
    // While there is one subscriber only, tracing asks the thread that first comes to a place in
    // the code whether that is ever of interest. If it is the thread of another test, which has no
    // subscriber, nobody hears of that place. So there are always two.
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
    LazyLock::force(&SECOND);
    with_default(Ear(listener), f)
}

/// A subscriber that tells a listener.
pub(crate) struct Ear<L>(pub(crate) L);

impl<L: Listener> Subscriber for Ear<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.wants(metadata)
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        self.0.new_span(attributes.metadata());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn enter(&self, _: &span::Id) {
        self.0.enter();
    }

    fn exit(&self, _: &span::Id) {
        self.0.exit();
    }
}
