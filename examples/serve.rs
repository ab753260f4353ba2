//! Serves connections until it is told to stop. Then it answers the requests that have begun, and
//! accepts no others. It is a module of `axum_app`, and may be one of your program.

use std::fmt::Display;
use std::pin::pin;
use std::time::Duration;

use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::time;
use futures::future::{Either, select};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};

/// How long requests that have begun may take when it is told to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Accepts connections until `stop` is ready. `connect` makes a stream one of hyper's connections:
/// it is `serve_connection` of hyper's builder, for HTTP/1 or for HTTP/2.
pub(crate) async fn serve<C>(listener: TcpListener, stop: impl Future<Output = ()>, connect: impl Fn(TcpStream) -> C)
where
    C: GracefulConnection<Error: Display> + 'static,
{
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        match select(pin!(listener.accept()), stop.as_mut()).await {
            Either::Left((Ok((stream, peer)), _)) => {
                let connection = connections.watch(connect(stream));
                aio_runtime::spawn(async move {
                    if let Err(error) = connection.await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            // Out of descriptors, most likely: some are free again when clients leave.
            Either::Left((Err(error), _)) => {
                eprintln!("cannot accept: {error}");
                time::sleep(Duration::from_millis(100)).await;
            }
            Either::Right(_) => break,
        }
    }
    // From now on, clients that connect are refused.
    drop(listener);
    if time::timeout(PATIENCE, connections.shutdown()).await.is_err() {
        eprintln!("not all requests ended in {} s", PATIENCE.as_secs());
    }
}
