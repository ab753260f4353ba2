//! Sends back whatever it is sent, at a path. Try it with `nc -U /tmp/echo.sock`.

use std::os::unix::fs::FileTypeExt;
use std::time::Duration;
use std::{env, fs};

use aio_runtime::net::UnixListener;
use aio_runtime::{io, time};

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let path = env::args().nth(1).unwrap_or_else(|| "/tmp/echo.sock".to_owned());
    // A socket's name stays when its listener has gone.
    if fs::metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&path).map_err(|error| format!("cannot remove {path}: {error}"))?;
    }
    let listener = UnixListener::bind(&path).map_err(|error| format!("cannot listen at {path}: {error}"))?;
    println!("listening at {path}");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(aio_runtime::spawn(async move { io::copy(&stream, &mut &stream).await })),
            // Out of descriptors, most likely: some are free again when clients leave.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
