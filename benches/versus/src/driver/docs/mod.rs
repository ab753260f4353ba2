//! What readers see who do not measure themselves: a page, and pictures that other pages may show
//! too.

mod gallery;
mod page;
mod picture;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::results::Results;
use page::PICTURES;

pub const OF_REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

/// Writes `benchmarks.md` into `dir`, and its pictures into a directory beside it.
pub fn write(results: &Results, dir: &Path) -> Result<()> {
    let pictures = gallery::pictures(results);
    fs::create_dir_all(dir.join(PICTURES)).with_context(|| format!("create {}", dir.display()))?;
    for picture in &pictures {
        let path = dir.join(PICTURES).join(picture.file_name());
        fs::write(&path, picture.to_svg()?).with_context(|| format!("write {}", path.display()))?;
    }
    let path = dir.join("benchmarks.md");
    fs::write(&path, page::markdown(results, &pictures)).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};
    use serde_json::{Value, json};

    use super::*;

    const REFUSED: &str = "refused | by the <kernel>";

    fn turn((round, nanoseconds): (usize, &u32)) -> Value {
        let none = json!({ "secs": 0, "nanos": 0 });
        let measured = json!({
            "ops": 1, "wall": { "secs": 1, "nanos": 0 }, "cpu": { "secs": 0, "nanos": nanoseconds },
            "latency": { "p50": none, "p99": none, "p999": none, "samples": 9 },
            "resident": 0, "peak": 0, "written": 0,
        });
        json!({ "round": round, "measured": measured })
    }

    fn cell(peer: &str, kind: &str, role: &str, turns: &[u32]) -> Value {
        json!({
            "workload": "read", "case": { "many": 32, "idle": 0, "choice": "uniform" }, "label": "32", "peer": peer,
            "kind": kind, "role": role, "io_uring_denied": true,
            "turns": turns.iter().enumerate().map(turn).collect::<Vec<_>>(),
            "failure": if turns.is_empty() { Some(REFUSED) } else { None },
        })
    }

    /// One panel: ours costs 2 us, tokio's 4 times as much, and one does not start.
    fn results() -> Results {
        let machine = json!({
            "cpu": "abacus", "cores": 2, "memory_bytes": 1u64 << 30, "storage": "ext4 on a drum", "kernel": "6.18",
            "date": "2026-01-01 00:00",
            "versions": { "tokio": "1.2.3" },
        });
        let cells = [
            cell("aio-runtime", "ours", "peer", &[1_000, 2_000, 3_000]),
            cell("tokio", "epoll", "peer", &[4_000, 8_000, 13_000]),
            cell("monoio", "io-uring", "peer", &[]),
            cell("aio-runtime", "ours", "again", &[2_000, 2_000, 2_000]),
        ];
        let all = json!({ "machine": machine, "rounds": 3, "most_rounds": 6, "seconds": 0.5, "disturbed": 0.0, "cells": cells });
        serde_json::from_value(all).unwrap()
    }

    fn drawn() -> String {
        let pictures = gallery::pictures(&results());
        assert_eq!(pictures.iter().map(|picture| picture.name).collect::<Vec<_>>(), ["denied"]);
        pictures[0].to_svg().unwrap()
    }

    fn texts<'a>(svg: &'a Document) -> Vec<&'a str> {
        let texts = svg.descendants().filter(|node| node.has_tag_name("text"));
        texts.filter_map(|node| node.text()).map(str::trim).collect()
    }

    #[test]
    fn picture_names_every_runtime_and_its_figure() {
        let svg = drawn();
        let svg = Document::parse(&svg).unwrap();
        let texts = texts(&svg);
        for text in ["aio-runtime", "2.00", "tokio", "8.00", "monoio", "µs of CPU time", "direct read of 4 KiB"] {
            assert!(texts.contains(&text), "{text} is not among {texts:?}");
        }
        assert!(texts.iter().any(|text| text.contains("lower is better")));
    }

    #[test]
    fn a_runtime_that_does_not_start_has_words_and_no_bar() {
        let svg = drawn();
        let svg = Document::parse(&svg).unwrap();
        assert_eq!(texts(&svg).iter().filter(|text| text.contains("does not start")).count(), 1);
    }

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let svg = drawn();
        let svg = Document::parse(&svg).unwrap();
        let number = |node: &Node, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
        // The other rectangles: the sheet is higher, and the legend's squares are narrower.
        let bars: Vec<f64> = svg
            .descendants()
            .filter(|node| node.has_tag_name("rect") && number(node, "height") < 30.0 && number(node, "width") > 12.0)
            .map(|node| number(&node, "width"))
            .collect();
        let [ours, theirs] = bars[..] else { panic!("{bars:?} instead of two bars") };
        assert!((theirs / ours - 4.0).abs() < 0.05, "{theirs} and {ours}");
    }

    #[test]
    fn page_tells_what_was_measured_where_and_what_failed() {
        let results = results();
        let page = page::markdown(&results, &gallery::pictures(&results));
        for part in [
            "abacus, 2 cores, 1 GiB",
            "ext4 on a drum",
            "3 to 6 rounds, with turns of 0.5 s",
            "tokio 1.2.3",
            "](benchmarks/denied.svg)",
            "| 32 | monoio | failed |",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
        assert!(page.contains("| monoio | denied | refused \\| by the &lt;kernel> | read 32 |"), "{page}");
        assert!(page.contains("| 32 | aio-runtime | 2.00 µs | (1.00 µs-3.00 µs) |"), "{page}");
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let written = serde_json::to_string(&results()).unwrap();
        let read: Results = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        assert_eq!(read.ratios.len(), 1, "ours to tokio's");
        assert_eq!(read.controls.len(), 1, "ours to itself");
    }

    #[test]
    fn everything_is_written_into_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        write(&results(), &dir.path().join("docs")).unwrap();
        assert!(dir.path().join("docs/benchmarks.md").is_file());
        assert!(dir.path().join("docs/benchmarks/denied.svg").is_file());
    }
}
