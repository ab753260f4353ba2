//! What is shown to readers who do not measure themselves: a page, and pictures that other pages may show too.

mod gallery;
mod page;
mod picture;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::results::Results;

pub const OF_REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

/// Beside the page.
const PICTURES: &str = "benchmarks";

/// Writes `benchmarks.md` into `dir`, and its pictures into a directory beside it.
pub fn write(results: &Results, dir: &Path) -> Result<()> {
    let pictures = gallery::pictures(results);
    fs::create_dir_all(dir.join(PICTURES)).with_context(|| format!("make {}", dir.display()))?;
    for picture in &pictures {
        let path = dir.join(PICTURES).join(picture.file_name());
        fs::write(&path, picture.to_svg()?).with_context(|| format!("write {}", path.display()))?;
    }
    let path = dir.join("benchmarks.md");
    fs::write(&path, page::markdown(results, &pictures)).with_context(|| format!("write {}", path.display()))
}
