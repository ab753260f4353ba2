//! The house's map, held by tests: what may name what, where `unsafe` may be, how wide a comment
//! and how long a file may get.
//!
//! [`map`] is the data, to be changed when the house is. Every rule is a function from a tree of
//! files to its complaints. One test shows it the repository, for which it has none; another one
//! shows it a small wrong tree, and expects exactly that complaint.

mod arrows;
mod calls;
mod circles;
mod doors;
mod length;
mod manifests;
mod map;
mod names;
mod tokens;
mod tree;
mod width;

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
