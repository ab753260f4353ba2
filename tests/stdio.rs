//! The standard streams, in processes of their own: what is read and written, what is left alone,
//! and that nothing keeps the process from ending.

mod common;

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use aio_runtime::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stderr, stdin, stdout};
use aio_runtime::task::yield_now;
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Runtime, spawn};
use common::fork::{fork, reap};
use common::{Clean, assert_passed, child, is_child, panic_of, run, soon, wait_until};
use futures::StreamExt;
use futures::future::join_all;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// This test once more, as the child whose standard streams are looked at.
fn child_with(test: &str, stdin: impl Into<Stdio>) -> Command {
    let mut command = child(test);
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a child has said, once it has ended; its pipes must not be full before.
fn output_of(mut child: Child) -> Output {
    wait_until("the child ends", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn assert_said(output: &Output, text: &str) {
    assert_passed(output);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(text), "{text:?} is not in {said:?}");
}

fn is_blocking(fd: impl AsFd) -> bool {
    !fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// The child's part: says what it reads, by lines.
fn repeat_lines() {
    run(async {
        let mut lines = BufReader::new(stdin()).lines();
        let mut stdout = stdout();
        while let Some(line) = soon("a line", lines.next()).await {
            stdout.write_all(format!("<{}>", line.unwrap()).as_bytes()).await.unwrap();
        }
        stdout.write_all(b"end").await.unwrap();
    });
}

#[test]
fn a_pipe_is_read_as_it_comes_and_left_as_it_is() {
    if is_child() {
        return repeat_lines();
    }
    let (theirs, mut ours) = pipe().unwrap();
    let (mut answers, their_output) = pipe().unwrap();
    // Descriptors that share their flags with the child's.
    let (shared_input, shared_output) = (theirs.try_clone().unwrap(), their_output.try_clone().unwrap());
    let mut command = child_with("a_pipe_is_read_as_it_comes_and_left_as_it_is", theirs);
    let mut child = command.stdout(their_output).spawn().unwrap();
    drop(command);
    for line in ["one", "two", "", "four"] {
        writeln!(ours, "{line}").unwrap();
        read_until(&mut answers, &format!("<{line}>"));
        assert!(is_blocking(&shared_input) && is_blocking(&shared_output));
    }
    ours.write_all(b"without a line break").unwrap();
    drop(ours);
    read_until(&mut answers, "<without a line break>end");
    assert!(child.wait().unwrap().success());
}

/// Reads until this has come.
fn read_until(from: &mut impl Read, text: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(text.as_bytes()) {
        let mut byte = [0];
        assert_eq!(from.read(&mut byte).unwrap(), 1, "before {text:?}: {}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
}

#[test]
fn a_file_is_read_to_its_end() {
    if is_child() {
        return repeat_lines();
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"one\ntwo").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let child = child_with("a_file_is_read_to_its_end", file).spawn().unwrap();
    assert_said(&output_of(child), "<one><two>end");
}

#[test]
fn nothing_is_read_from_dev_null_or_a_closed_input() {
    if is_child() {
        return repeat_lines();
    }
    const TEST: &str = "nothing_is_read_from_dev_null_or_a_closed_input";
    assert_said(&output_of(child_with(TEST, Stdio::null()).spawn().unwrap()), "end");
    // By a shell, since a child of `Command` always has one.
    let test = std::env::current_exe().unwrap();
    let mut closed = child_with(TEST, Stdio::null());
    let args: Vec<_> = closed.get_args().map(ToOwned::to_owned).collect();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" <&-", "sh"]).arg(test).args(args);
    for (name, value) in closed.get_envs() {
        shell.env(name, value.unwrap());
    }
    closed = shell;
    closed.stdout(Stdio::piped()).stderr(Stdio::piped());
    assert_said(&output_of(closed.spawn().unwrap()), "end");
}

#[test]
fn a_terminal_is_read_by_lines() {
    if is_child() {
        return repeat_lines();
    }
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs: OwnedFd = File::options().read(true).write(true).open(name).unwrap().into();
    let shared = theirs.try_clone().unwrap();
    let child = child_with("a_terminal_is_read_by_lines", theirs).spawn().unwrap();
    // The last byte is ^D, the end of input.
    rustix::io::write(&ours, b"one\ntwo\n\x04").unwrap();
    assert_said(&output_of(child), "<one><two>end");
    assert!(is_blocking(&shared));
}

#[test]
fn a_pending_read_keeps_nothing_from_ending() {
    if is_child() {
        let clean = Clean::begin();
        let runtime = Runtime::new().unwrap();
        let read = runtime.block_on(async { timeout(Duration::from_millis(20), stdin().read(&mut [0])).await });
        assert!(read.is_err());
        clean.end(runtime);
        println!("the runtime has ended");
        return;
    }
    let child = child_with("a_pending_read_keeps_nothing_from_ending", Stdio::piped()).spawn().unwrap();
    assert_said(&output_of(child), "the runtime has ended");
}

/// Reads a line by a new handle, and no more than the line.
async fn read_line() -> String {
    let mut line = String::new();
    while !line.ends_with('\n') {
        let mut byte = [0];
        soon("a byte", stdin().read_exact(&mut byte)).await.unwrap();
        line.push(byte[0].into());
    }
    line
}

#[test]
fn what_a_dropped_read_has_asked_for_is_not_lost() {
    if is_child() {
        run(async {
            assert!(timeout(Duration::from_millis(10), stdin().read(&mut [0; 8])).await.is_err());
            stdout().write_all(b"dropped\n").await.unwrap();
            // It comes while nobody waits.
            sleep(Duration::from_millis(20)).await;
            assert_eq!(read_line().await, "one line\n");
        });
        // Another runtime reads on, and so does std.
        run(async { assert_eq!(read_line().await, "another\n") });
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        assert_eq!(line, "the last\n");
        return;
    }
    let mut child = child_with("what_a_dropped_read_has_asked_for_is_not_lost", Stdio::piped()).spawn().unwrap();
    read_until(child.stdout.as_mut().unwrap(), "dropped\n");
    child.stdin.as_mut().unwrap().write_all(b"one line\nanother\nthe last\n").unwrap();
    assert_passed(&output_of(child));
}

#[test]
fn all_that_wait_are_served() {
    const TASKS: usize = 10;
    if is_child() {
        return run(async {
            let tasks: Vec<_> = (0..TASKS).map(|_| spawn(async { stdin().read(&mut [0]).await })).collect();
            yield_now().await;
            stdout().write_all(b"waiting\n").await.unwrap();
            for read in soon("a byte for each", join_all(tasks)).await {
                assert_eq!(read.unwrap().unwrap(), 1);
            }
        });
    }
    let mut child = child_with("all_that_wait_are_served", Stdio::piped()).spawn().unwrap();
    read_until(child.stdout.as_mut().unwrap(), "waiting\n");
    child.stdin.as_mut().unwrap().write_all(&[b'x'; TASKS]).unwrap();
    assert_passed(&output_of(child));
}

#[test]
fn a_forked_child_reads_on() {
    if is_child() {
        run(async { assert_eq!(read_line().await, "one\n") });
        // What is behind it is in the buffer of std by now, of which the child has a copy.
        reap(fork(|| run(async { assert_eq!(read_line().await, "two\n") })));
        return run(async { assert_eq!(read_line().await, "two\n") });
    }
    let mut child = child_with("a_forked_child_reads_on", Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    assert_passed(&output_of(child));
}

#[test]
fn writes_are_whole_and_in_order_and_need_no_flush() {
    const TASKS: usize = 4;
    const LINES: usize = 50;
    let line = |task: usize, line: usize| format!("{task} {line} {}\n", "x".repeat(100 + 7 * task));
    if is_child() {
        let runtime = Runtime::new().unwrap();
        let std = thread::spawn(move || (0..LINES).for_each(|number| print!("{}", line(TASKS, number))));
        runtime.block_on(async {
            let tasks = (0..TASKS).map(|task| {
                spawn(async move {
                    let mut stdout = stdout();
                    for number in 0..LINES {
                        stdout.write_all(line(task, number).as_bytes()).await.unwrap();
                    }
                })
            });
            join_all(tasks).await;
            // The handle is gone before the write has begun.
            stdout().write_all(b"the last word").await.unwrap();
        });
        std.join().unwrap();
        drop(runtime);
        // Nothing is written after this.
        return rustix::io::write(rustix::stdio::stdout(), b"THE END\n").map(drop).unwrap();
    }
    let child = child_with("writes_are_whole_and_in_order_and_need_no_flush", Stdio::null()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_passed(&output);
    let said = String::from_utf8(output.stdout).unwrap();
    let (before, _) = said.split_once("THE END\n").unwrap();
    assert_eq!(before.matches("the last word").count(), 1, "{before}");
    for task in 0..=TASKS {
        let mut rest = before;
        for number in 0..LINES {
            let line = line(task, number);
            let at = rest.find(&line).unwrap_or_else(|| panic!("{line:?} is not whole, or not in order:\n{said}"));
            rest = &rest[at + line.len()..];
        }
    }
}

#[test]
fn a_flush_tells_that_the_bytes_are_out() {
    if is_child() {
        return run(async {
            let (mut stdout, mut stderr) = (stdout(), stderr());
            for answer in 0..20 {
                // In turns, so that each has to be out before the other.
                stdout.write_all(format!("<{answer}>").as_bytes()).await.unwrap();
                stdout.flush().await.unwrap();
                stderr.write_all(format!("<{answer}>").as_bytes()).await.unwrap();
                stderr.close().await.unwrap();
            }
        });
    }
    // Both go to the same place.
    let (mut answers, theirs) = pipe().unwrap();
    let mut command = child_with("a_flush_tells_that_the_bytes_are_out", Stdio::null());
    let mut child = command.stdout(theirs.try_clone().unwrap()).stderr(theirs).spawn().unwrap();
    drop(command);
    let mut said = String::new();
    answers.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let expected: String = (0..20).map(|answer| format!("<{answer}><{answer}>")).collect();
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn the_error_of_a_write_is_told_once() {
    if is_child() {
        return run(async {
            let mut stderr = stderr();
            assert_eq!(stderr.write(b"lost").await.unwrap(), 4, "it is only copied");
            assert_eq!(stderr.flush().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            stderr.flush().await.unwrap();
            stderr.write_all(b"lost").await.unwrap();
            assert_eq!(stderr.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    }
    let (reader, theirs) = pipe().unwrap();
    drop(reader);
    let mut command = child_with("the_error_of_a_write_is_told_once", Stdio::null());
    let child = command.stderr(theirs).spawn().unwrap();
    assert_passed(&output_of(child));
}

#[test]
fn descriptors_that_others_made_nonblocking() {
    const LEN: usize = 1 << 20;
    if is_child() {
        return run(async {
            assert_eq!(read_line().await, "late\n");
            stderr().write_all(&[b'x'; LEN]).await.unwrap();
        });
    }
    let nonblocking = |(reader, writer): (PipeReader, PipeWriter)| {
        fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        (reader, writer)
    };
    let (their_input, mut ours) = nonblocking(pipe().unwrap());
    let (mut answers, their_output) = nonblocking(pipe().unwrap());
    let mut command = child_with("descriptors_that_others_made_nonblocking", their_input);
    let mut child = command.stderr(their_output).spawn().unwrap();
    drop(command);
    thread::sleep(Duration::from_millis(20));
    ours.write_all(b"late\n").unwrap();
    // It is full most of the time.
    let mut seen = 0;
    wait_until("all bytes", || {
        loop {
            match answers.read(&mut [0; 16384]) {
                Ok(0) => return true,
                Ok(len) => seen += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert_eq!(seen, LEN);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_write_wants_a_runtime() {
    let (_, text) = panic_of(|| futures::executor::block_on(async { stdout().write_all(b"no").await }));
    assert!(text.contains("there is no aio-runtime on this thread"), "{text}");
}
