//! tokio's test files, and the package in which they are built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{MetadataCommand, TargetKind};
use toml::{Table, Value};

/// The crate whose tests these are.
const TOKIO: &str = "tokio";

/// Features of tokio that its tests ask for by `cfg`, but for those of an unstable tokio.
const FEATURES: &[&str] = &[
    "fs",
    "full",
    "io-std",
    "io-util",
    "macros",
    "net",
    "parking_lot",
    "process",
    "rt",
    "rt-multi-thread",
    "signal",
    "sync",
    "test-util",
    "time",
];

pub(crate) struct Suite {
    pub(crate) version: String,
    pub(crate) files: Vec<Source>,
    /// The folder of the package in which they are built and run.
    pub(crate) scratch: PathBuf,
    pub(crate) target: PathBuf,
    /// `tests/conformance`.
    package: PathBuf,
}

/// A test file, where cargo has unpacked it.
pub(crate) struct Source {
    pub(crate) name: String,
    path: PathBuf,
}

impl Suite {
    /// Asks cargo where it has unpacked the tokio that the manifest in `package` names.
    pub(crate) fn find(package: &Path) -> Result<Self> {
        let mut command = MetadataCommand::new();
        let metadata =
            command.manifest_path(package.join("Cargo.toml")).other_options(["--locked".to_owned()]).exec()?;
        let tokio = metadata.packages.iter().find(|package| package.name == TOKIO).context("no tokio in Cargo.lock")?;
        let tests = tokio.targets.iter().filter(|target| target.kind.contains(&TargetKind::Test));
        let files = tests.map(|target| Source { name: target.name.clone(), path: target.src_path.clone().into() });
        let target: PathBuf = metadata.target_directory.into();
        Ok(Self {
            version: tokio.version.to_string(),
            files: files.collect(),
            scratch: target.join("conformance"),
            target,
            package: package.to_owned(),
        })
    }

    /// Writes the package with these test files. It has the dependencies that our manifest names,
    /// in the versions of our lock file.
    pub(crate) fn write_package(&self, files: &[&Source]) -> Result<()> {
        let ours: Table = fs::read_to_string(self.package.join("Cargo.toml"))?.parse()?;
        let manifest = manifest(&ours, &self.package, files)?;
        fs::create_dir_all(&self.scratch)?;
        fs::write(self.scratch.join("Cargo.toml"), manifest.to_string())?;
        fs::copy(self.package.join("Cargo.lock"), self.scratch.join("Cargo.lock"))?;
        Ok(())
    }
}

impl Source {
    /// How many tests the file has, as far as its text tells.
    pub(crate) fn count_tests(&self) -> Result<usize> {
        let text = fs::read_to_string(&self.path)?;
        let is_test = |line: &&str| {
            let line = line.trim_start();
            ["#[test]", "#[tokio::test", "#[maybe_tokio_test]"].iter().any(|attribute| line.starts_with(attribute))
        };
        Ok(text.lines().filter(is_test).count())
    }
}

/// The manifest of the package with the tests. They run in its folder as they would in tokio's, and
/// one of them looks for tokio's address in the manifest.
fn manifest(ours: &Table, package: &Path, files: &[&Source]) -> Result<Table> {
    let mut manifest = toml::toml! {
        [package]
        name = "conformance-tests"
        version = "0.0.0"
        edition = "2021"
        homepage = "https://tokio.rs"

        [workspace]

        [lints.rust]
        unexpected_cfgs = "allow"

        [profile.dev]
        debug = "line-tables-only"
        incremental = false
    };
    let test =
        |file: &&Source| Value::from(Table::from_iter([entry("name", &*file.name), entry("path", path(&file.path))]));
    let feature = |name: &&str| ((*name).to_owned(), Value::Array(Vec::new()));
    let mut features: Table = FEATURES.iter().map(feature).collect();
    features.extend([entry("default", FEATURES.to_vec())]);
    let mut dependencies =
        ours.get("dev-dependencies").and_then(Value::as_table).context("no dev-dependencies")?.clone();
    let name = ours["package"]["name"].as_str().context("no name")?;
    dependencies.extend([entry(name, Table::from_iter([entry("path", path(package))]))]);
    manifest.extend([
        entry("features", features),
        entry("dependencies", dependencies),
        entry("test", files.iter().map(test).collect::<Vec<_>>()),
    ]);
    Ok(manifest)
}

fn entry(key: &str, value: impl Into<Value>) -> (String, Value) {
    (key.to_owned(), value.into())
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
