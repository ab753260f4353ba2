//! A few seconds of the soak, so that it does not rot.

use std::process::Command;

#[test]
fn a_short_soak_finds_nothing() {
    for capacity in ["1", "1000"] {
        let args = ["--seed", "7", "--ops", "10000", "--per-world", "5000", "--capacity", capacity];
        let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
        let output = soak.args(args).env("TMPDIR", env!("CARGO_TARGET_TMPDIR")).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("nothing left"), "{said}");
    }
}
