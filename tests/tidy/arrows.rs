//! Arrows run down only: a floor names only those floors that the map allows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::map::{FLOORS, FOLDERS, REACTOR_TESTS, STRANGERS, is_in};
use crate::names::{LIBRARY, Meaning, Name, files, names};
use crate::tree::{REPOSITORY, Tree};

fn wrong_arrows(names: &[Name]) -> Vec<String> {
    // By floor, file and file that it must not name: the items, and the line of the first.
    let mut wrong = BTreeMap::<_, (usize, BTreeSet<&str>)>::new();
    for (floor, below) in FLOORS {
        for name in names.iter().filter(|name| is_in(&name.file, floor)) {
            let may = |file: &str| is_in(file, floor) || below.iter().any(|floor| is_in(file, floor));
            let refused = touched(name).into_iter().find(|file| !may(file));
            // The root only re-exports. What it re-exports is named where it is defined.
            let root = name.at_root.then_some("the root");
            if let Some(file) = refused.or(root) {
                let (_, items) = wrong.entry((&name.file, floor, file)).or_insert((name.line, BTreeSet::new()));
                items.insert(match &name.meaning {
                    Meaning::Item { name, .. } => name,
                    Meaning::Module { .. } | Meaning::Outside { .. } => &name.path,
                });
            }
        }
    }
    let complaint = |((from, floor, file), (line, items)): (_, (usize, BTreeSet<&str>))| {
        let items: Vec<&str> = items.into_iter().collect();
        format!("{from}:{line}: {floor} must not name {file} ({})", items.join(", "))
    };
    wrong.into_iter().map(complaint).collect()
}

/// The files of all that a path names on its way.
fn touched(name: &Name) -> Vec<&str> {
    let meant = match &name.meaning {
        Meaning::Item { file, .. } | Meaning::Module { file } => Some(file),
        Meaning::Outside { .. } => None,
    };
    name.passes.iter().chain(meant).map(String::as_str).collect()
}

/// Floors of the map without a file in the tree.
fn missing_floors(tree: &Tree) -> Vec<String> {
    let exists = |floor: &str| tree.with_ending(".rs").any(|file| is_in(&file.path, floor));
    let floors = FLOORS.iter().flat_map(|(floor, below)| [floor].into_iter().chain(*below));
    let missing: BTreeSet<&str> = floors.copied().filter(|floor| !exists(floor)).collect();
    missing.iter().map(|floor| format!("{floor} is on the map, but not in the tree")).collect()
}

/// Files that the compiler never sees, and so neither do these rules.
fn unreached_files(tree: &Tree, names: &[Name]) -> Vec<String> {
    let known = files(names);
    let files = FOLDERS.iter().flat_map(|folder| tree.rust_of(folder));
    let unreached = files.filter(|file| !known.contains(file.path.as_str()));
    unreached.map(|file| format!("{}: no other file leads here", file.path)).collect()
}

/// The crate's root is reached by its name, and by one path to a line, so that a search for
/// `crate::` finds all that a folder names.
fn hidden_paths(tree: &Tree, names: &[Name]) -> Vec<String> {
    let climbing = names.iter().filter(|name| name.climbs_to_root);
    let climbing = climbing.map(|name| format!("{}:{}: {} is `crate::` here", name.file, name.line, name.path));
    let files = FOLDERS.iter().flat_map(|folder| tree.rust_of(folder));
    let lines = files.flat_map(|file| file.code_lines().map(move |(number, line)| (&file.path, number, line)));
    let several = lines.filter(|(_, _, line)| line.contains("crate::{"));
    let several = several.map(|(path, number, _)| format!("{path}:{number}: one path to a line"));
    climbing.chain(several).collect()
}

fn strangers(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.rust_of("reactor").into_iter().filter(|file| !is_in(&file.path, REACTOR_TESTS)) {
        for (number, line) in file.code_lines() {
            let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            for word in STRANGERS.iter().filter(|word| words.contains(word)) {
                found.push(format!("{}:{number}: the reactor must not know {word}", file.path));
            }
        }
    }
    found
}

#[test]
fn arrows_run_down_only() {
    assert_none(&wrong_arrows(&LIBRARY));
}

#[test]
fn the_search_finds_what_is_there() {
    for (from, to) in [("runtime", "reactor"), ("net", "runtime"), ("net", "reactor"), ("fs", "reactor")] {
        let names_it = |name: &Name| is_in(&name.file, from) && touched(name).iter().any(|file| is_in(file, to));
        assert!(LIBRARY.iter().any(names_it), "{from} does not name {to} any more; is the search broken?");
    }
}

#[test]
fn every_floor_of_the_map_exists() {
    assert_none(&missing_floors(&REPOSITORY));
}

#[test]
fn every_file_is_reached() {
    assert_none(&unreached_files(&REPOSITORY, &LIBRARY));
}

#[test]
fn the_crates_root_is_reached_by_its_name_only() {
    assert_none(&hidden_paths(&REPOSITORY, &LIBRARY));
}

#[test]
fn the_reactor_knows_no_task() {
    assert_none(&strangers(&REPOSITORY));
}

/// A house that is right, but for one file.
fn house_with(path: &str, text: &str) -> (Tree, Vec<Name>) {
    let right = [
        ("lib.rs", "mod fs; mod net; mod runtime; mod reactor; pub use runtime::Spawn;"),
        ("fs/mod.rs", "use crate::reactor::Io;"),
        ("net/mod.rs", "use crate::runtime::Spawn; pub struct Stream(crate::reactor::Io);"),
        ("runtime/mod.rs", "mod context; pub use context::Context; pub struct Spawn; type X = crate::reactor::Io;"),
        ("runtime/context.rs", "pub struct Context;"),
        ("reactor/mod.rs", "mod driver; mod ids; mod kernel; mod readiness; mod requests; pub struct Io;"),
        ("reactor/driver/mod.rs", "use super::kernel::Ring; use super::requests::Request;"),
        ("reactor/ids.rs", "pub struct Key;"),
        ("reactor/kernel/mod.rs", "pub struct Ring(super::ids::Key);"),
        ("reactor/readiness/mod.rs", "pub struct Source(crate::reactor::ids::Key);"),
        ("reactor/requests/mod.rs", "pub struct Request(super::ids::Key); pub use super::ids::Key;"),
    ];
    let others = right.into_iter().filter(|(other, _)| *other != path);
    let tree = Tree::of(&others.chain([(path, text)]).collect::<Vec<_>>());
    let names = names(&tree, "lib.rs");
    (tree, names)
}

#[test]
fn an_arrow_up_or_across_is_found() {
    let wrong = |path, text| wrong_arrows(&house_with(path, text).1);
    assert_eq!(wrong("unrelated.rs", ""), [""; 0]);
    assert_eq!(
        wrong("fs/mod.rs", "\nuse crate::net; use crate::net::Stream;"),
        ["fs/mod.rs:2: fs must not name net/mod.rs (Stream, crate::net)"]
    );
    assert_eq!(
        wrong("reactor/ids.rs", "pub struct Key(crate::runtime::Context);"),
        [
            "reactor/ids.rs:1: reactor must not name runtime/mod.rs (Context)",
            "reactor/ids.rs:1: reactor/ids.rs must not name runtime/mod.rs (Context)",
        ]
    );
    assert_eq!(
        wrong("runtime/context.rs", "pub struct Context(crate::Spawn);"),
        ["runtime/context.rs:1: runtime must not name the root (Spawn)"]
    );
    assert_eq!(
        wrong("reactor/kernel/mod.rs", "pub struct Ring(super::Io);"),
        ["reactor/kernel/mod.rs:1: reactor/kernel must not name reactor/mod.rs (Io)"]
    );
    // By a module on the way, though the item itself is defined where it may be named.
    assert_eq!(
        wrong("reactor/readiness/mod.rs", "fn f() { m!(super::requests::Key) }"),
        ["reactor/readiness/mod.rs:1: reactor/readiness must not name reactor/requests/mod.rs (Key)"]
    );
}

#[test]
fn a_missing_floor_is_found() {
    let missing = missing_floors(&house_with("unrelated.rs", "").0);
    assert!(missing.contains(&"reactor/buf.rs is on the map, but not in the tree".to_owned()), "{missing:?}");
    assert!(!missing.iter().any(|complaint| complaint.starts_with("reactor/kernel")), "{missing:?}");
}

#[test]
fn a_file_without_a_module_is_found() {
    let (tree, names) = house_with("net/left.rs", "fn f() {}");
    assert_eq!(unreached_files(&tree, &names), ["net/left.rs: no other file leads here"]);
}

#[test]
fn a_hidden_path_to_the_root_is_found() {
    let hidden = |text| {
        let (tree, names) = house_with("runtime/context.rs", text);
        hidden_paths(&tree, &names)
    };
    let right = "pub struct Context; mod m { use super::super::Spawn; pub(in super::super) struct S; }";
    assert_eq!(hidden(right), [""; 0]);
    assert_eq!(
        hidden("pub struct Context;\nuse super::super::reactor::Io;"),
        ["runtime/context.rs:2: super::super::reactor::Io is `crate::` here"]
    );
    assert_eq!(hidden("pub struct Context; use crate::{reactor::Io};"), ["runtime/context.rs:1: one path to a line"]);
}

#[test]
fn a_stranger_in_the_reactor_is_found() {
    let found = |path, text| strangers(&house_with(path, text).0);
    assert_eq!(
        found("reactor/ids.rs", "pub struct Key; // A JoinHandle.\nfn f(a: JoinHandles, b: JoinHandle) {}"),
        ["reactor/ids.rs:2: the reactor must not know JoinHandle"]
    );
    assert_eq!(found("reactor/tests/mod.rs", "use std::net::TcpStream;"), [""; 0]);
    assert_eq!(found("net/mod.rs", "use std::net::TcpStream;"), [""; 0]);
}
