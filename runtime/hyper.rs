//! What hyper asks of a runtime: an executor and a timer. With feature `hyper`.
//!
//! Sockets need no adapter: with this feature, every stream, its halves and the ends of pipes
//! implement [`hyper::rt::Read`] and [`hyper::rt::Write`].
//!
//! # Examples
//!
//! Serves HTTP/1 on a connection, and gives a client 10 seconds to send its request's head:
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use aio_runtime::hyper::AioTimer;
//! use aio_runtime::net::TcpStream;
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello\n".to_owned()))
//! }
//!
//! async fn serve(stream: TcpStream) -> hyper::Result<()> {
//!     http1::Builder::new()
//!         .timer(AioTimer)
//!         .header_read_timeout(Duration::from_secs(10))
//!         .serve_connection(stream, service_fn(hello))
//!         .await
//! }
//! ```
//!
//! HTTP/2 starts tasks of its own, so it asks for the executor too:
//! `http2::Builder::new(AioExecutor).timer(AioTimer)`.
//!
//! # axum and tonic
//!
//! `axum::serve` and tonic's `transport::Server` use tokio's timers or sockets, and so need a tokio
//! runtime. The services themselves need none. `hyper_util::service::TowerToHyperService` makes
//! hyper's service of an `axum::Router`, or of `tonic::service::Routes` (tonic without its default
//! features, but with `router`), and hyper's connections serve it as above.
//!
//! The repository's `examples/axum_app.rs` is such a program. Its module `serve` accepts
//! connections until the process is told to stop, and then waits for the requests that have begun,
//! by `hyper_util::server::graceful`. Nothing of this starts a tokio runtime.
//!
//! hyper-util's `server::conn::auto` finds out by itself which version of HTTP a client speaks. But
//! `header_read_timeout` does not limit how long it waits for that. A server for strangers is safer
//! with one version to a port.

use std::pin::Pin;
use std::time::{Duration, Instant};

use ::hyper::rt;

use super::task::spawn;
use super::time::{self, Sleep};

/// Starts hyper's tasks on the current runtime.
///
/// They need not be `Send`: a service may hold an [`Rc`](std::rc::Rc).
///
/// # Panics
///
/// When hyper starts a task outside a runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct AioExecutor;

impl<F> rt::Executor<F> for AioExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        // Detached.
        drop(spawn(future));
    }
}

/// hyper's timer, by [`time::sleep_until`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AioTimer;

impl rt::Timer for AioTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep_until(deadline.into()))
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(own) => own.reset(new_deadline.into()),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
impl rt::Sleep for Sleep {}
