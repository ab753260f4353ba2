//! Disk and network on one loop: a server of 4 KiB blocks of a file.
//!
//! A request is the number of a block, 8 bytes little endian. The answer is the 4096 bytes of that
//! block. They are read with `O_DIRECT` by the AIO context that also waits for the sockets, so the
//! server is one thread.
//!
//! Only whole blocks are served: a number whose block the file does not hold to its last byte (any
//! more) closes the connection, with the reason in the log.
//!
//! Started without arguments, this is a demonstration: for a few seconds the server is measured
//! under load, in turns with the same server on tokio (`tokio_server.rs`).

mod content;
mod demo;
mod load;
mod report;
mod server;
mod tokio_server;

use std::env;
use std::io::stderr;
use std::process::ExitCode;

use aio_runtime::net::TcpListener;

use demo::{AIO_RUNTIME, TOKIO};

const USAGE: &str = "\
Serves 4 KiB blocks of a file over TCP, or measures what that costs.

unified                        measures this server and one on tokio, in 7 seconds
unified --only SERVER          measures one of them: aio-runtime or tokio
unified serve FILE [ADDRESS]   serves a file, at 127.0.0.1:7000 if no address is given";

#[aio_runtime::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(stderr).with_target(false).init();
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        [] => demo::run(&[AIO_RUNTIME, TOKIO]).await,
        ["--only", "aio-runtime"] => demo::run(&[AIO_RUNTIME]).await,
        ["--only", "tokio"] => demo::run(&[TOKIO]).await,
        ["serve", file] => serve(file, "127.0.0.1:7000").await,
        ["serve", file, addr] => serve(file, addr).await,
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(path: &str, addr: &str) -> Result<(), String> {
    let file = server::open(path.as_ref()).await.map_err(|error| format!("cannot open {path}: {error}"))?;
    let listener = TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    tracing::info!(addr, file = path, direct = file.alignment().is_some(), "serving");
    server::serve(listener, file).await;
    Ok(())
}
