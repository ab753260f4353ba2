//! Which file a path means: a resolver for one crate of the tree.
//!
//! It follows modules, `use`, globs and re-exports to the file that defines an item. It knows no
//! types: a method call or a field names nothing. It takes for granted that the code compiles.

use std::collections::{HashMap, HashSet};
use std::iter;
use std::sync::LazyLock;

use quote::ToTokens;
use syn::{Attribute, Item};

use crate::map;
use crate::tokens::{self, Found, Mention};
use crate::tree::{REPOSITORY, Tree};

/// The names of the repository's crates.
pub(crate) static LIBRARY: LazyLock<Vec<Name>> = LazyLock::new(|| names(&REPOSITORY, map::LIBRARY));
pub(crate) static VERSUS: LazyLock<Vec<Name>> = LazyLock::new(|| names(&REPOSITORY, map::VERSUS));

/// A path in the code of a crate, and what it means.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// As it is written.
    pub(crate) path: String,
    /// The files of the modules that it passes, but for those that it stands in itself.
    pub(crate) passes: Vec<String>,
    pub(crate) meaning: Meaning,
    /// A `mod` or a re-export, which offers a name to others and does not use it.
    pub(crate) declares: bool,
    /// In code that only `cfg(test)` compiles.
    pub(crate) test: bool,
    /// Whether it takes something else than a module from the crate's root.
    pub(crate) at_root: bool,
    /// Whether it reaches the crate's root by `super`.
    pub(crate) climbs_to_root: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Meaning {
    /// Something that `file` defines: an enum, where the path is that of a variant.
    Item {
        file: String,
        name: String,
    },
    Module {
        file: String,
    },
    /// Of another crate (the whole path), or a name without one: of the prelude, or a parameter.
    Outside {
        path: String,
    },
}

/// All paths of the crate whose root is the file `root`.
pub(crate) fn names(tree: &Tree, root: &str) -> Vec<Name> {
    let source = tree.get(root).unwrap_or_else(|| panic!("no {root}"));
    let folder = &root[..root.rfind('/').map_or(0, |at| at + 1)];
    let mut modules = Modules { tree, all: Vec::new() };
    modules.add(root, folder, None, false, parse(root, &source.text));
    let all = modules.all.iter().enumerate();
    all.flat_map(|(at, module)| module.found.mentions.iter().map(move |mention| (at, mention)))
        .map(|(at, mention)| modules.name(at, mention))
        .collect()
}

/// The files of the crate.
pub(crate) fn files(names: &[Name]) -> HashSet<&str> {
    let meant = names.iter().flat_map(|name| {
        let defines = match &name.meaning {
            Meaning::Item { file, .. } | Meaning::Module { file } => Some(file),
            Meaning::Outside { .. } => None,
        };
        name.passes.iter().chain(defines).chain([&name.file])
    });
    meant.map(String::as_str).collect()
}

struct Modules<'t> {
    tree: &'t Tree,
    all: Vec<Module>,
}

#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: HashMap<String, usize>,
    items: HashSet<String>,
    found: Found,
}

enum Target {
    Item(usize, String),
    Module(usize),
    Outside(Vec<String>),
}

impl Modules<'_> {
    /// Adds a module and those below it. `folder`: where its children's files are.
    fn add(&mut self, file: &str, folder: &str, parent: Option<usize>, test: bool, items: Vec<Item>) -> usize {
        let here = self.all.len();
        self.all.push(Module { file: file.to_owned(), parent, ..Module::default() });
        for item in items {
            match item {
                Item::Use(item) => self.all[here].found.add_use(&item, test || is_test(&item.attrs)),
                Item::Mod(item) => {
                    let name = item.ident.to_string();
                    let below = format!("{folder}{name}/");
                    let test = test || is_test(&item.attrs);
                    let line = item.ident.span().start().line;
                    let mention = Mention { path: vec![name.clone()], line, declares: true, test };
                    self.all[here].found.mentions.push(mention);
                    let child = match item.content {
                        Some((_, items)) => self.add(file, &below, Some(here), test, items),
                        None => {
                            let places = [format!("{folder}{name}.rs"), format!("{below}mod.rs")];
                            let source = places.iter().find_map(|path| self.tree.get(path));
                            let source = source.unwrap_or_else(|| panic!("{file}: no file of `mod {name}`"));
                            self.add(&source.path, &below, Some(here), test, parse(&source.path, &source.text))
                        }
                    };
                    self.all[here].children.insert(name, child);
                }
                item => {
                    self.all[here].items.extend(defined(&item));
                    self.all[here].found.add_code(item.to_token_stream(), test);
                }
            }
        }
        here
    }

    fn name(&self, module: usize, mention: &Mention) -> Name {
        let mut passes = Vec::new();
        let target = self.resolve(module, &mention.path, &mut Vec::new(), &mut passes);
        let file = |module: usize| self.all[module].file.clone();
        let meaning = match target {
            Target::Item(module, name) => Meaning::Item { file: file(module), name },
            Target::Module(module) => Meaning::Module { file: file(module) },
            Target::Outside(path) => Meaning::Outside { path: path.join("::") },
        };
        let around: Vec<usize> = self.around(module).collect();
        passes.retain(|passed| !around.contains(passed));
        let at_root = match &mention.path[..] {
            [krate, name, rest @ ..] if krate == "crate" => {
                !matches!(self.find(0, name, rest.is_empty(), &mut Vec::new()), Some(Target::Module(_)))
            }
            _ => false,
        };
        let climbs = mention.path.iter().take_while(|step| *step == "super").count();
        Name {
            file: file(module),
            line: mention.line,
            path: mention.path.join("::"),
            passes: passes.into_iter().map(file).collect(),
            meaning,
            declares: mention.declares,
            test: mention.test,
            at_root,
            climbs_to_root: climbs > 0 && climbs + 1 >= around.len(),
        }
    }

    /// A module and those that it is in, up to the root.
    fn around(&self, module: usize) -> impl Iterator<Item = usize> {
        iter::successors(Some(module), |&inner| self.all[inner].parent)
    }

    /// `seen` holds the names that are being looked up, each with its module: an import may lead
    /// back to itself. `passes` takes the modules on the way.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        seen: &mut Vec<(usize, String)>,
        passes: &mut Vec<usize>,
    ) -> Target {
        let mut module = module;
        for (at, step) in path.iter().enumerate() {
            let rest = &path[at + 1..];
            match step.as_str() {
                "crate" => module = 0,
                "self" => {}
                "super" => module = self.all[module].parent.expect("the root has no `super`"),
                name => match self.find(module, name, rest.is_empty(), seen) {
                    Some(Target::Module(next)) => {
                        passes.push(next);
                        module = next;
                    }
                    Some(Target::Outside(path)) => return Target::Outside([&path, rest].concat()),
                    Some(item) => return item,
                    None if at == 0 => return Target::Outside(path.to_vec()),
                    // The compiler finds it, so a macro makes it there.
                    None => return Target::Item(module, name.to_owned()),
                },
            }
        }
        Target::Module(module)
    }

    /// Looks a name up in a module's scope. A module and a function may have the same name: inside
    /// a path the module is meant, at its end the function.
    fn find(&self, here: usize, name: &str, last: bool, seen: &mut Vec<(usize, String)>) -> Option<Target> {
        let module = &self.all[here];
        let child = module.children.get(name).map(|&child| Target::Module(child));
        if child.is_some() && !last {
            return child;
        }
        if module.items.contains(name) {
            return Some(Target::Item(here, name.to_owned()));
        }
        let key = (here, name.to_owned());
        if seen.contains(&key) {
            return child;
        }
        seen.push(key);
        let (named, globs): (Vec<_>, Vec<_>) = module.found.imports.iter().partition(|import| import.name.is_some());
        let import = named.iter().find(|import| import.name.as_deref() == Some(name));
        let imported = import.map(|import| self.resolve(here, &import.path, seen, &mut Vec::new()));
        imported.or(child).or_else(|| {
            globs.iter().find_map(|glob| match self.resolve(here, &glob.path, seen, &mut Vec::new()) {
                Target::Module(other) => self.find(other, name, last, seen),
                _ => None,
            })
        })
    }
}

fn parse(path: &str, text: &str) -> Vec<Item> {
    syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}")).items
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| tokens::is_test(attribute.meta.to_token_stream()))
}

fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &[(&str, &str)] = &[
        ("lib.rs", "mod a; mod b; pub use a::inner::Deep;"),
        ("a/mod.rs", "pub mod inner; pub use inner::*; pub use std::fs; pub fn made() {}"),
        ("a/inner.rs", "pub struct Deep; pub enum Many { One } made! { struct Hidden; } pub fn inner() {}"),
    ];

    /// What the paths of `b.rs` mean, but for what it defines itself.
    fn meanings(text: &str) -> Vec<String> {
        let tree = Tree::of(&[TREE, &[("b.rs", text)]].concat());
        let names = names(&tree, "lib.rs").into_iter().filter(|name| name.file == "b.rs");
        let said = names.map(|name| match name.meaning {
            Meaning::Item { file, name } => format!("{name} of {file}"),
            Meaning::Module { file } => file,
            Meaning::Outside { path } => path,
        });
        said.filter(|said| !said.ends_with("b.rs")).collect()
    }

    #[test]
    fn a_path_leads_to_the_file_that_defines_the_item() {
        for path in ["crate::Deep", "crate::a::Deep", "crate::a::inner::Deep", "super::a::Deep", "self::super::Deep"] {
            assert_eq!(meanings(&format!("use {path};")), ["Deep of a/inner.rs"], "{path}");
            assert_eq!(meanings(&format!("type X = [&'static {path}; 2];")), ["Deep of a/inner.rs"], "{path}");
        }
        assert_eq!(meanings("use crate::a::{self, made as m};"), ["a/mod.rs", "made of a/mod.rs"]);
        assert_eq!(meanings("use crate::a; fn f() { a::made(); }")[1..], ["made of a/mod.rs"]);
        assert_eq!(meanings("fn f() { crate::a::Many::One; }"), ["Many of a/inner.rs"]);
        assert_eq!(meanings("mod c { mod d { type X = super::super::super::Deep; } }"), ["Deep of a/inner.rs"]);
    }

    #[test]
    fn names_come_from_globs_and_from_uses_inside_functions() {
        assert_eq!(meanings("use crate::a::*; struct S(Deep);")[1..], ["Deep of a/inner.rs"]);
        assert_eq!(meanings("fn f() { use crate::a::Many as M; M::One }")[1..], ["Many of a/inner.rs"]);
        assert_eq!(meanings("use crate::a::Many::{self, *};"), ["Many of a/inner.rs", "Many of a/inner.rs"]);
    }

    #[test]
    fn a_function_may_have_its_modules_name() {
        assert_eq!(meanings("use crate::a::inner::inner;"), ["inner of a/inner.rs"]);
        assert_eq!(meanings("use crate::a::inner; fn f() { inner::inner() }")[1..], ["inner of a/inner.rs"]);
    }

    #[test]
    fn macros_hide_nothing_that_looks_like_a_path() {
        assert_eq!(
            meanings("m! { #[a = crate::Deep] x => $crate::a::Many }"),
            ["m", "Deep of a/inner.rs", "Many of a/inner.rs"]
        );
        assert_eq!(meanings("use crate::a::inner::Hidden;"), ["Hidden of a/inner.rs"]);
    }

    #[test]
    fn names_of_other_crates_keep_their_whole_path() {
        assert_eq!(
            meanings("use libc; use std::io as i; fn f() { i::stdin() }"),
            ["libc", "std::io", "std::io::stdin"]
        );
        assert_eq!(meanings("fn f() { crate::a::fs::read() }"), ["std::fs::read"]);
    }

    #[test]
    fn fields_methods_and_lifetimes_are_not_names() {
        let code = "fn f<'a>(self) -> &'a u8 { self.Deep.made().await; <u8>::Deep; 0..1 }";
        assert_eq!(meanings(&format!("use crate::a::*; /// [`Deep`] \n {code}"))[1..], [""; 0]);
    }

    #[test]
    fn test_code_is_marked() {
        let code = "
            #[cfg(test)] use crate::a::made;
            #[cfg(test)] mod tests { type X = crate::a::Deep; }
            impl B {
                #[cfg(test)] fn two<A, B>() -> B { crate::a::made() }
                fn three() { #[cfg(test)] crate::a::made(); crate::a::inner::inner() }
            }";
        let tree = Tree::of(&[TREE, &[("b.rs", code)]].concat());
        let names = names(&tree, "lib.rs");
        let other = names.iter().filter(|name| name.file == "b.rs" && name.path.contains("::") && !name.test);
        assert_eq!(other.map(|name| name.path.as_str()).collect::<Vec<_>>(), ["crate::a::inner::inner"]);
    }
}
