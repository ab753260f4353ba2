//! Values whose drop cannot unwind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::reactor::log;

pin_project! {
    /// A value whose drop is user code and must not unwind. A panic in it is logged and goes no
    /// further.
    #[derive(Debug)]
    pub(super) struct Contained<T> {
        #[pin]
        value: Option<T>,
    }

    impl<T> PinnedDrop for Contained<T> {
        fn drop(this: Pin<&mut Self>) {
            if let Err(payload) = this.clear() {
                // Its drop may panic as well.
                std::mem::forget(payload);
                log("a panic while dropping a task's future or its output", None);
            }
        }
    }
}

impl<T> Contained<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Some(value) }
    }

    pub(super) fn as_ref(&self) -> &T {
        self.value.as_ref().expect("only `clear` removes the value, and nothing uses it after that")
    }

    pub(super) fn get(self: Pin<&mut Self>) -> Option<Pin<&mut T>> {
        self.project().value.as_pin_mut()
    }

    /// Drops the value in place. If that panics, the error is the payload.
    pub(super) fn clear(self: Pin<&mut Self>) -> std::thread::Result<()> {
        let mut value = self.project().value;
        catch_unwind(AssertUnwindSafe(|| value.set(None)))
    }

    pub(super) fn into_inner(mut self) -> T {
        self.value.take().expect("only `clear` removes the value, and nothing uses it after that")
    }
}
