//! `unsafe` only behind its doors: a lint denies it, and no other file of the library allows it.

use crate::assert_none;
use crate::map::{DOORS, FOLDERS, LIBRARY, REACTOR_TESTS, is_in};
use crate::tree::{REPOSITORY, Tree};

const LINT: &str = "unsafe_code";

/// How a file opens a door.
const OPENS: &[&str] = &["allow(", "expect(", "warn("];

fn other_doors(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let denies = |toml: &str| toml.lines().any(|line| line.replace(' ', "") == format!("{LINT}=\"deny\""));
    if !tree.get("Cargo.toml").is_some_and(|manifest| denies(&manifest.text)) {
        found.push(format!("Cargo.toml: {LINT} is not denied"));
    }
    // The macros too, which are a package of their own.
    let in_folder = |path: &str| FOLDERS.iter().any(|folder| is_in(path, folder));
    let library = tree.with_ending(".rs").filter(|file| file.path == LIBRARY || in_folder(&file.path));
    let may = |path: &str| is_in(path, REACTOR_TESTS) || DOORS.iter().any(|door| is_in(path, door));
    for file in library.filter(|file| !may(&file.path)) {
        let opens = |line: &str| line.contains(LINT) && OPENS.iter().any(|word| line.contains(word));
        for (number, _) in file.code_lines().filter(|(_, line)| opens(line)) {
            found.push(format!("{}:{number}: unsafe is behind {} only", file.path, doors()));
        }
    }
    found
}

fn doors() -> String {
    let (last, others) = DOORS.split_last().expect("there are doors");
    format!("{} and {last}", others.join(", "))
}

#[test]
fn unsafe_is_behind_its_doors() {
    assert_none(&other_doors(&REPOSITORY));
}

#[test]
fn every_door_is_needed() {
    for door in DOORS {
        let opens = REPOSITORY.rust_of(door).iter().any(|file| file.text.contains("allow(unsafe_code)"));
        assert!(opens, "there is nothing unsafe in {door}; is the search broken?");
    }
}

#[test]
fn another_door_is_found() {
    let manifest = ("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"deny\"\n");
    let right = ("reactor/kernel/ring.rs", "#![allow(unsafe_code)]");
    let tests = ("reactor/tests/sleep.rs", "#![allow(unsafe_code)]");
    let closed = ("net/mod.rs", "#![forbid(unsafe_code)]");
    let bench = ("benches/io.rs", "#![allow(unsafe_code)]");
    assert_eq!(other_doors(&Tree::of(&[manifest, right, tests, closed, bench])), [""; 0]);
    let wrong = ("reactor/driver/mod.rs", "// unsafe_code\n#[expect(unsafe_code)]\nfn f() {}");
    assert_eq!(
        other_doors(&Tree::of(&[manifest, right, wrong])),
        [
            "reactor/driver/mod.rs:2: unsafe is behind reactor/kernel, runtime/task, io/unix/async_fd.rs and net/block/unfilled.rs only"
        ]
    );
    assert_eq!(
        other_doors(&Tree::of(&[("Cargo.toml", "unsafe_code = \"warn\"")])),
        ["Cargo.toml: unsafe_code is not denied"]
    );
}
