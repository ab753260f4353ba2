//! Disk and network on one loop: a server of 4 KiB blocks of a file.
//!
//! A request is the number of a block, 8 bytes little endian. The answer is the 4096 bytes of that
//! block. They are read with `O_DIRECT` by the AIO context that also waits for the sockets, so the
//! server is one thread.
//!
//! Only whole blocks are served: a number whose block the file does not hold to its last byte (any
//! more) closes the connection, with the reason in the log.
//!
//! Started without arguments, this is a demonstration: the server, with a file and clients of its
//! own, for 4 seconds.

mod content;
mod demo;
mod load;
mod report;
mod server;

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};

use aio_runtime::net::TcpListener;
use clap::Parser;

/// Serves 4 KiB blocks of a file over TCP. Without --file, shows itself at work and exits.
///
/// A request is 8 bytes, the number of a block in little endian; the answer is the block.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7000", requires = "file")]
    addr: String,
    /// The file to serve.
    #[arg(long)]
    file: Option<PathBuf>,
}

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let log = tracing_subscriber::fmt().with_writer(stderr).with_ansi(stderr().is_terminal());
    log.with_target(false).init();
    let args = Args::parse();
    match args.file {
        Some(path) => serve(&path, &args.addr).await,
        None => demo::run().await.map_err(|error| format!("the demonstration failed: {error}")),
    }
}

async fn serve(path: &Path, addr: &str) -> Result<(), String> {
    let file = server::open(path).await.map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    let listener = TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    tracing::info!(addr, file = %path.display(), direct = file.alignment().is_some(), "serving");
    server::serve(listener, file).await;
    Ok(())
}
