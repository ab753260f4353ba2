//! Another process uses up the host's quota of AIO requests, `fs.aio-max-nr`.
#![allow(unsafe_code)] // The other process takes the quota by bare system calls.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::{Builder, Runtime, spawn};
use common::{Clean, child, is_child, rest, soon, stream_pair, turn};

/// How much of the quota the other process gives back.
const LEFT: u32 = 100;

#[test]
fn another_process_has_the_quota() {
    if is_child() {
        return hold_quota();
    }
    let clean = Clean::begin();
    let running = Builder::new().capacity(64).build().unwrap();
    exchange(&running, 10);

    let mut holder = Holder::start();
    holder.tell("take");
    // Nothing is left: the error names the quota, its value and the remedy.
    for capacity in [4096, 1] {
        let text = Builder::new().capacity(capacity).build().unwrap_err().to_string();
        let max = std::fs::read_to_string("/proc/sys/fs/aio-max-nr").unwrap();
        assert!(text.contains("fs.aio-max-nr") && text.contains(max.trim()), "{text}");
        assert!(text.contains("sysctl -w fs.aio-max-nr="), "{text}");
    }
    // A runtime that was there before goes on, whatever it opens and closes.
    exchange(&running, 300);

    holder.tell("leave");
    // A little is left: the smaller context limits the speed, not the number of connections.
    let small = Builder::new().capacity(4096).build().unwrap();
    let capacity = small.metrics().capacity;
    assert!((u64::from(LEFT) / 2..4096).contains(&capacity), "{capacity}");
    exchange(&small, 300);
    exchange(&running, 10);
    drop(small);

    holder.end();
    // What is there again can be had.
    let large = Builder::new().capacity(5000).build().unwrap();
    assert!(large.metrics().capacity >= 1000);
    exchange(&large, 1000);
    assert!(large.metrics().growths > 0 && large.metrics().capacity >= 2000, "{:?}", large.metrics());
    drop(large);
    clean.end(running);
}

/// Opens connections, waits on all of them, exchanges a byte on each, and closes them.
fn exchange(runtime: &Runtime, connections: usize) {
    runtime.block_on(async {
        let mut clients = Vec::new();
        let mut servers = Vec::new();
        for _ in 0..connections {
            let (client, mut server) = stream_pair();
            clients.push(client);
            servers.push(spawn(async move {
                let mut byte = [0];
                while server.read(&mut byte).await.unwrap() > 0 {
                    server.write_all(&byte).await.unwrap();
                }
            }));
        }
        turn().await;
        turn().await;
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(&[number as u8]).await.unwrap();
            let mut byte = [0];
            soon("an answer", client.read_exact(&mut byte)).await.unwrap();
            assert_eq!(byte, [number as u8]);
        }
        drop(clients);
        for server in servers {
            soon("the end of a connection", server).await.unwrap();
        }
        rest().await;
    });
}

/// The other process.
struct Holder {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Holder {
    fn start() -> Self {
        let mut command = child("another_process_has_the_quota");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, answers }
    }

    /// Gives an order, and waits until it is done.
    fn tell(&mut self, order: &str) {
        writeln!(self.process.stdin.as_ref().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        // The test runner writes lines, too.
        while !line.contains(&format!("done: {order}")) {
            line.clear();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the other process has ended");
        }
    }

    /// Ends the process, and its contexts with it.
    fn end(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

/// The other process's part: carries out orders until there are no more.
fn hold_quota() {
    let mut spare = None;
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        match order.as_str() {
            "take" => {
                spare = setup(LEFT);
                let mut size = 1 << 16;
                while size > 0 {
                    if setup(size).is_none() {
                        size /= 2;
                    }
                }
            }
            "leave" => destroy(spare.take().expect("it was told to take them before")),
            order => panic!("{order}?"),
        }
        println!("done: {order}");
    }
}

/// Takes `requests` from the quota, if that many are left.
fn setup(requests: u32) -> Option<libc::c_ulong> {
    let mut context: libc::c_ulong = 0;
    // SAFETY: io_setup writes the new context's name to `context`, which is 0 as it must be.
    let result = unsafe { libc::syscall(libc::SYS_io_setup, requests, &raw mut context) };
    (result == 0).then_some(context)
}

fn destroy(context: libc::c_ulong) {
    // SAFETY: the context has no requests, and nobody reads its ring.
    let result = unsafe { libc::syscall(libc::SYS_io_destroy, context) };
    assert_eq!(result, 0);
}
