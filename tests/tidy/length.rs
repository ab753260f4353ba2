//! No file is too long to be read in one go.

use crate::assert_none;
use crate::tree::{REPOSITORY, Tree};

const MOST_LINES: usize = 450;

fn long_files(tree: &Tree) -> Vec<String> {
    let lengths = tree.with_ending(".rs").map(|file| (&file.path, file.text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(path, lines)| format!("{path}: {lines} lines, and {MOST_LINES} are the limit")).collect()
}

#[test]
fn no_file_is_too_long() {
    assert_none(&long_files(&REPOSITORY));
}

#[test]
fn a_long_file_is_found() {
    let (long, short) = ("x\n".repeat(MOST_LINES + 1), "x\n".repeat(MOST_LINES));
    let tree = Tree::of(&[("tests/long.rs", &long), ("short.rs", &short), ("long.md", &long)]);
    assert_eq!(long_files(&tree), ["tests/long.rs: 451 lines, and 450 are the limit"]);
}
