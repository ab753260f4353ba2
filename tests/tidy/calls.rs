//! The pure floors make no system call: they do not name functions that do.

use crate::assert_none;
use crate::map::{PURE, SYSTEM_CRATES, SYSTEM_MODULES, is_in};
use crate::names::{LIBRARY, Meaning, Name, names};
use crate::tree::Tree;

fn system_calls(names: &[Name]) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        let Meaning::Outside { path } = &name.meaning else { continue };
        if let Some(floor) = PURE.iter().find(|floor| is_in(&name.file, floor))
            && may_call(path)
        {
            found.push(format!("{}:{}: {floor} makes no system call, but names {path}", name.file, name.line));
        }
    }
    found
}

/// Whether a path may be that of a function which makes a system call, or of a module with such
/// functions. Types and constants begin with a capital. Those of the system's crates bring harmless
/// functions along (`Errno::from_raw_os_error`), the others do not (`File::open`).
fn may_call(path: &str) -> bool {
    let steps: Vec<&str> = path.split("::").collect();
    let is_capital = |step: &&str| step.starts_with(char::is_uppercase);
    let in_module = |module: &&str| path == *module || path.starts_with(&format!("{module}::"));
    SYSTEM_CRATES.contains(&steps[0]) && !steps.iter().any(is_capital)
        || SYSTEM_MODULES.iter().any(in_module) && !steps.last().is_some_and(is_capital)
}

#[test]
fn pure_floors_make_no_system_call() {
    assert_none(&system_calls(&LIBRARY));
}

#[test]
fn a_system_call_is_found() {
    let found = |text: &str| {
        let tree = Tree::of(&[
            ("lib.rs", "mod reactor;"),
            ("reactor/mod.rs", "mod requests; mod other;"),
            ("reactor/other.rs", "fn f() { libc::getpid() }"),
            ("reactor/requests/mod.rs", text),
        ]);
        system_calls(&names(&tree, "lib.rs"))
    };
    assert_eq!(found("use rustix::{event::epoll::EventFlags, io::Errno}; type C = libc::O_DIRECT;"), [""; 0]);
    assert_eq!(
        found("use std::io;\nuse rustix::event::epoll as e; fn f() { e::wait() }"),
        [
            "reactor/requests/mod.rs:2: reactor/requests makes no system call, but names rustix::event::epoll",
            "reactor/requests/mod.rs:2: reactor/requests makes no system call, but names rustix::event::epoll::wait",
        ]
    );
    assert_eq!(found("use std::fs::File; struct Request(File);"), [""; 0]);
    assert_eq!(
        found("use std::fs::File; fn f() { File::open(x); libc::syscall(1) }"),
        [
            "reactor/requests/mod.rs:1: reactor/requests makes no system call, but names std::fs::File::open",
            "reactor/requests/mod.rs:1: reactor/requests makes no system call, but names libc::syscall",
        ]
    );
}
