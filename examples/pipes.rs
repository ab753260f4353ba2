//! Prints each line that somebody writes to a FIFO, with its number, until one says `quit`. Try it
//! with `echo hello > /tmp/lines`.

use std::{env, fs};

use aio_runtime::io::{self, AsyncBufReadExt, BufReader};
use aio_runtime::net::unix::pipe::OpenOptions;
use futures::StreamExt;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;

#[aio_runtime::main]
async fn main() -> io::Result<()> {
    let path = env::args().nth(1).unwrap_or_else(|| "/tmp/lines".to_owned());
    match mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        // An earlier run has left it.
        Err(Errno::EXIST) => {}
        made => made?,
    }
    // Opened both ways, it does not end when a program that wrote to it has gone.
    let receiver = OpenOptions::new().read_write(true).open_receiver(&path)?;
    println!("reading {path}");
    let mut lines = BufReader::new(receiver).lines().enumerate();
    while let Some((number, line)) = lines.next().await {
        match line?.as_str() {
            "quit" => break,
            line => println!("{} {line}", number + 1),
        }
    }
    fs::remove_file(path)
}
