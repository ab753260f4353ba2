//! Which folder may name which: arrows run down only, from `lib.rs` to `net` and `fs` to `runtime`
//! to `reactor`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each folder, with what its code may name of the crate.
const ALLOWED: [(&str, &[&str]); 4] = [
    ("reactor", &["reactor"]),
    ("runtime", &["runtime", "reactor"]),
    ("net", &["net", "runtime", "reactor"]),
    ("fs", &["fs", "runtime", "reactor"]),
];

#[test]
fn arrows_run_down_only() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (folder, allowed) in ALLOWED {
        for file in sources(&root().join(folder)) {
            for (number, line) in code_lines(&file) {
                for named in named_of_crate(&line) {
                    if !allowed.contains(&named.as_str()) {
                        wrong.push(format!("{}:{number}: {folder} names crate::{named}", file.display()));
                    }
                    seen.insert((folder, named));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that run up or across:\n{}", wrong.join("\n"));
    // The search finds what is there.
    for arrow in [("runtime", "reactor"), ("net", "runtime"), ("net", "reactor"), ("fs", "reactor")] {
        assert!(seen.contains(&(arrow.0, arrow.1.to_owned())), "{arrow:?} has gone; is the search broken?");
    }
}

#[test]
fn the_crates_root_is_reached_by_its_name_only() {
    for (folder, _) in ALLOWED {
        let head = root().join(folder).join("mod.rs");
        for (number, line) in code_lines(&head) {
            let path = line.replace("pub(super)", "").replace("in super", "");
            assert!(!path.contains("super::"), "{}:{number}: `super` is the crate's root here", head.display());
        }
        for file in sources(&root().join(folder)) {
            for (number, line) in code_lines(&file) {
                let up = line.matches("super::super").count();
                let depth = file.strip_prefix(root().join(folder)).unwrap().components().count();
                assert!(up == 0 || depth > 1, "{}:{number}: say `crate::`", file.display());
                assert!(!line.contains("crate::{"), "{}:{number}: one path to a line", file.display());
            }
        }
    }
}

#[test]
fn the_reactor_knows_no_task() {
    for file in sources(&root().join("reactor")) {
        for (number, line) in code_lines(&file) {
            for word in ["JoinHandle", "Runnable", "async_task", "block_on(", "TcpStream", "TcpListener"] {
                let in_tests = file.components().any(|part| part.as_os_str() == "tests");
                assert!(in_tests || !line.contains(word), "{}:{number}: names {word}", file.display());
            }
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files of a folder, but for a crate of its own in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    assert!(!found.is_empty(), "{} has no source", folder.display());
    found
}

/// The lines of a file without comments, whose links may point anywhere.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    let code = |line: &str| line.split("//").next().unwrap().to_owned();
    text.lines().enumerate().map(|(at, line)| (at + 1, code(line))).collect()
}

/// What follows each `crate::` of a line.
fn named_of_crate(line: &str) -> Vec<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    line.split("crate::").skip(1).map(name).collect()
}
