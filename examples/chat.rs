//! Passes each line that a client sends on to all the others. Try it with several
//! `nc 127.0.0.1 7000`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::io::{self, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use aio_runtime::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::time;
use futures::StreamExt;
use futures::channel::mpsc::{Receiver, Sender, channel};

/// How many lines wait for a client that reads slowly. Further ones pass it by.
const WAITING: usize = 100;

/// The longest line, in bytes: a longer one is passed on in parts.
const LONGEST: u64 = 4096;

/// Those who are there. All tasks are on one thread, so nothing is locked.
#[derive(Clone, Default)]
struct Room(Rc<RefCell<HashMap<SocketAddr, Sender<Rc<str>>>>>);

#[aio_runtime::main]
async fn main() -> Result<(), String> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let listener = TcpListener::bind(&addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {addr}");
    let room = Room::default();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => drop(aio_runtime::spawn(serve(room.clone(), client, stream))),
            // Out of descriptors, most likely: some are free again when clients leave.
            Err(error) => {
                eprintln!("cannot accept: {error}");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(room: Room, client: SocketAddr, stream: TcpStream) {
    let (reader, writer) = stream.into_split();
    let writing = aio_runtime::spawn(write_lines(room.enter(client), writer));
    room.say(client, "has come");
    if let Err(error) = read_lines(&room, client, reader).await {
        eprintln!("cannot read from {client}: {error}");
    }
    room.leave(client);
    room.say(client, "has left");
    // A client that does not read is not waited for.
    writing.abort();
}

async fn read_lines(room: &Room, client: SocketAddr, reader: OwnedReadHalf) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await? > 0 {
        room.say(client, String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

async fn write_lines(mut lines: Receiver<Rc<str>>, mut writer: OwnedWriteHalf) -> io::Result<()> {
    while let Some(line) = lines.next().await {
        writer.write_all(line.as_bytes()).await?;
    }
    Ok(())
}

impl Room {
    /// The lines of the others, from now on.
    fn enter(&self, client: SocketAddr) -> Receiver<Rc<str>> {
        let (sender, lines) = channel(WAITING);
        self.0.borrow_mut().insert(client, sender);
        lines
    }

    fn leave(&self, client: SocketAddr) {
        self.0.borrow_mut().remove(&client);
    }

    fn say(&self, speaker: SocketAddr, text: &str) {
        let line: Rc<str> = format!("{speaker}: {text}\n").into();
        for (client, lines) in self.0.borrow_mut().iter_mut() {
            if *client != speaker {
                // An error if too many wait.
                let _ = lines.try_send(line.clone());
            }
        }
    }
}
