//! No circle of files: each can be read after those it names.
//!
//! A file names another one if it names an item that the other one defines. A `mod` and a re-export
//! do not count, nor does test code.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::assert_none;
use crate::names::{LIBRARY, Meaning, Name, VERSUS, names};
use crate::tree::Tree;

/// For each file the files that it names, with the items it names there.
type Graph<'n> = BTreeMap<&'n str, BTreeMap<&'n str, BTreeSet<&'n str>>>;

fn graph(names: &[Name]) -> Graph<'_> {
    let mut graph = Graph::new();
    for name in names.iter().filter(|name| !name.declares && !name.test) {
        if let Meaning::Item { file, name: item } = &name.meaning
            && *file != name.file
        {
            graph.entry(&name.file).or_default().entry(file).or_default().insert(item);
        }
    }
    graph
}

/// The shortest circle through each step from a file to one that it names, if there is a way back.
fn circles(names: &[Name]) -> Vec<String> {
    let graph = graph(names);
    let steps = graph.iter().flat_map(|(from, named)| named.keys().map(move |to| (*from, *to)));
    let circles: BTreeSet<Vec<&str>> = steps.filter_map(|(from, to)| circle(&graph, from, to)).collect();
    circles.iter().map(|circle| describe(&graph, circle)).collect()
}

/// The shortest way from `to` back to `from`, as a circle that begins with its first file.
fn circle<'n>(graph: &Graph<'n>, from: &'n str, to: &'n str) -> Option<Vec<&'n str>> {
    let mut reached_from = BTreeMap::from([(to, to)]);
    let mut next = VecDeque::from([to]);
    while let Some(file) = next.pop_front() {
        for &named in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if !reached_from.contains_key(named) {
                reached_from.insert(named, file);
                next.push_back(named);
            }
        }
    }
    reached_from.get(from)?;
    let mut circle = vec![from];
    while circle[circle.len() - 1] != to {
        circle.push(reached_from[circle[circle.len() - 1]]);
    }
    circle.reverse();
    let first = circle.iter().enumerate().min_by_key(|(_, file)| **file)?.0;
    circle.rotate_left(first);
    Some(circle)
}

/// `a.rs -[what of b it names]-> b.rs -[what of a it names]-> a.rs`
fn describe(graph: &Graph<'_>, circle: &[&str]) -> String {
    let mut text = circle[0].to_owned();
    for (at, file) in circle.iter().enumerate() {
        let next = circle[(at + 1) % circle.len()];
        let items: Vec<&str> = graph[file][next].iter().copied().collect();
        text += &format!(" -[{}]-> {next}", items.join(", "));
    }
    text
}

#[test]
fn the_library_has_no_circle() {
    assert_none(&circles(&LIBRARY));
}

#[test]
fn versus_has_no_circle() {
    assert_none(&circles(&VERSUS));
}

#[test]
fn the_search_finds_what_is_there() {
    for (names, from, to, item) in [
        // By way of `fs/mod.rs` and `reactor/mod.rs`, which re-export it.
        (&LIBRARY, "fs/alignment.rs", "reactor/buf.rs", "Buf"),
        (&LIBRARY, "runtime/handle.rs", "reactor/metrics.rs", "Metrics"),
        (&VERSUS, "benches/versus/src/main.rs", "benches/versus/src/child.rs", "run"),
    ] {
        let items = graph(names).remove(from).and_then(|mut named| named.remove(to)).unwrap_or_default();
        assert!(items.contains(item), "{from} names no {item} of {to} any more; is the search broken?");
    }
}

#[test]
fn a_circle_is_found() {
    let tree = Tree::of(&[
        ("lib.rs", "mod a; mod b; mod c; mod apart;"),
        ("a.rs", "use crate::b::B; pub struct A; pub fn helper() { crate::apart::far() }"),
        ("b.rs", "pub struct B(crate::c::C);"),
        ("c.rs", "use super::a; pub struct C; fn f(_: a::A) { a::helper() }"),
        ("apart.rs", "pub fn far() {}"),
    ]);
    assert_eq!(circles(&names(&tree, "lib.rs")), ["a.rs -[B]-> b.rs -[C]-> c.rs -[A, helper]-> a.rs"]);
}

#[test]
fn every_circle_of_a_tangle_is_found() {
    let tree = Tree::of(&[
        ("lib.rs", "mod parent;"),
        ("parent/mod.rs", "mod left; mod right; pub struct P; struct Q(left::L, right::R);"),
        ("parent/left.rs", "use super::P; pub struct L;"),
        ("parent/right.rs", "use super::P; pub struct R;"),
    ]);
    assert_eq!(
        circles(&names(&tree, "lib.rs")),
        [
            "parent/left.rs -[P]-> parent/mod.rs -[L]-> parent/left.rs",
            "parent/mod.rs -[R]-> parent/right.rs -[P]-> parent/mod.rs",
        ]
    );
}

#[test]
fn reexports_children_and_tests_do_not_close_a_circle() {
    let tree = Tree::of(&[
        ("lib.rs", "mod parent;"),
        ("parent/mod.rs", "mod child; pub use child::C; pub struct P; #[cfg(test)] mod tests; impl P { fn f() {} }"),
        ("parent/child.rs", "use super::P; pub struct C; #[cfg(test)] use super::tests::T; impl P { fn g() {} }"),
        ("parent/tests.rs", "use super::C; pub struct T;"),
    ]);
    assert_eq!(circles(&names(&tree, "lib.rs")), [] as [&str; 0]);
}
