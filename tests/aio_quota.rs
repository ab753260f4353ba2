//! Another process uses up the host's quota of AIO requests, `fs.aio-max-nr`.
#![allow(unsafe_code)] // The other process takes the quota by bare system calls.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use aio_runtime::fs::{Buf, OpenOptions};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::{Builder, Runtime, spawn};
use common::listener::listen;
use common::log::Log;
use common::{Clean, child, is_child, pattern, real_dir, rest, soon, stream_pair, turn, wait_until};

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
    // Nothing is left: it starts, says so, waits in an epoll, and uses threads for files.
    let log = Log::of("aio_runtime");
    let without = listen(log.clone(), || {
        let without = Builder::new().build().unwrap();
        exchange(&without, 10);
        without
    });
    let line = log.only_line();
    let max = std::fs::read_to_string("/proc/sys/fs/aio-max-nr").unwrap();
    let reason = format!("of fs.aio-max-nr {}, ", max.trim());
    let parts = ["WARN", "without an AIO context", &reason, "sysctl -w fs.aio-max-nr="];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    assert_eq!(without.metrics().capacity, 0);
    exchange(&without, 300);
    use_file(&without);
    assert_eq!((without.metrics().capacity, without.metrics().submit_calls), (0, 0));
    assert!(without.metrics().pool_no_context >= 3, "{:?}", without.metrics());
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
    // It has been refused a moment ago.
    wait_until("it gets a context", || {
        exchange(&without, 10);
        without.metrics().capacity >= 1000
    });
    exchange(&without, 300);
    use_file(&without);
    assert!(without.metrics().submitted_reads > 0, "{:?}", without.metrics());
    drop(without);
    // What is there again can be had.
    let large = Builder::new().capacity(5000).build().unwrap();
    assert!(large.metrics().capacity >= 1000);
    exchange(&large, 1000);
    assert!(large.metrics().growths > 0 && large.metrics().capacity >= 2000, "{:?}", large.metrics());
    drop(large);
    clean.end(running);
}

/// Writes, syncs and reads a file by direct I/O.
fn use_file(runtime: &Runtime) {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(8192)).unwrap();
    runtime.block_on(async {
        let file = OpenOptions::new().read(true).write(true).direct(true).open(&path).await.unwrap();
        let mut buf = Buf::aligned(4096, 4096);
        buf.copy_from_slice(&pattern(4096));
        let (written, buf) = soon("a write", file.write_at(buf, 4096)).await;
        assert_eq!(written.unwrap(), 4096);
        soon("a sync", file.sync_data()).await.unwrap();
        let (read, buf) = soon("a read", file.read_at(buf, 0)).await;
        assert_eq!((read.unwrap(), &buf[..]), (4096, &pattern(8192)[..4096]));
    });
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
