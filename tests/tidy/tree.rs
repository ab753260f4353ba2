//! Source files: those of the repository, or a few lines that a test makes up.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::map::is_in;

#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Vec<Source>,
}

/// All Rust and Markdown files, and the manifests.
pub(crate) static REPOSITORY: LazyLock<Tree> = LazyLock::new(|| {
    // Cargo runs tests in the folder of their package.
    let mut tree = Tree { files: Vec::new() };
    tree.add_folder(Path::new(""));
    tree.files.sort_by(|a, b| a.path.cmp(&b.path));
    tree
});

impl Tree {
    /// A tree of files given as (path, text).
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let source = |&(path, text): &(&str, &str)| Source { path: path.to_owned(), text: text.to_owned() };
        Self { files: files.iter().map(source).collect() }
    }

    fn add_folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(Path::new(".").join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            if entry.file_type().unwrap().is_dir() {
                if name != "target" && !name.starts_with('.') {
                    self.add_folder(&path);
                }
            } else if [".rs", ".md", ".toml"].iter().any(|kind| name.ends_with(kind)) {
                let text = fs::read_to_string(&path).unwrap();
                self.files.push(Source { path: path.into_os_string().into_string().unwrap(), text });
            }
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn with_ending(&self, ending: &str) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }

    /// The Rust files of a folder, but for a package of its own in it.
    pub(crate) fn rust_of(&self, folder: &str) -> Vec<&Source> {
        let in_package = |path: &str| {
            let mut outer = path.match_indices('/').map(|(at, _)| &path[..at]);
            outer.any(|outer| outer.len() > folder.len() && self.get(&format!("{outer}/Cargo.toml")).is_some())
        };
        let files = self.with_ending(".rs").filter(|file| is_in(&file.path, folder));
        files.filter(|file| !in_package(&file.path)).collect()
    }
}

impl Source {
    /// The lines without their comments, which may say anything, with their numbers.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line.split("//").next().unwrap()))
    }
}

#[test]
fn a_package_inside_a_folder_is_not_part_of_it() {
    let files = ["outer/Cargo.toml", "outer/a.rs", "outer/b/c.rs", "outer/b/inner/Cargo.toml", "outer/b/inner/d.rs"];
    let tree = Tree::of(&files.map(|path| (path, "")));
    let paths: Vec<&str> = tree.rust_of("outer").into_iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["outer/a.rs", "outer/b/c.rs"]);
}
