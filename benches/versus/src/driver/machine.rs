//! On what, with what and when it was measured.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::peers::PEERS;

#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    /// The file system of the files that are read and written, and the disk below it.
    pub storage: String,
    pub kernel: String,
    /// UTC.
    pub date: String,
    /// Of every peer that is a package.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    /// With the files in `dir`.
    pub fn this(dir: &Path) -> Machine {
        let memory = rustix::system::sysinfo();
        Machine {
            cpu: cpu().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.totalram as u64 * u64::from(memory.mem_unit),
            storage: storage(dir).unwrap_or_else(|| "unknown".to_owned()),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M").to_string(),
            versions: PEERS.iter().filter_map(|peer| versioned(peer.package?)).collect(),
        }
    }
}

/// Its name, its model in numbers, as a hypervisor may shorten the name, and whether there is one.
/// Not known on every architecture.
fn cpu() -> Option<String> {
    let all = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name| all.lines().find_map(|line| cpuinfo_field(line, name));
    let (family, model) = (field("cpu family")?, field("model")?);
    let is_virtual = field("flags")?.split(' ').any(|flag| flag == "hypervisor");
    let hypervisor = if is_virtual { ", virtual" } else { "" };
    Some(format!("{} (family {family}, model {model}{hypervisor})", field("model name")?))
}

fn cpuinfo_field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    (key.trim() == name).then(|| value.trim())
}

/// The file system of `dir`, and its disk: `ext4 on nvme0n1 (Samsung SSD 980)`.
fn storage(dir: &Path) -> Option<String> {
    let device = fs::metadata(dir).ok()?.dev();
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (kind, source) = mounts.lines().find_map(|line| mounted(line, &number))?;
    Some(match disk(&number) {
        Some(disk) => format!("{kind} on {disk}"),
        None => format!("{kind} on {source}"),
    })
}

/// The type and the source of the mount on this line, if it is that of the device with `number`.
fn mounted<'a>(line: &'a str, number: &str) -> Option<(&'a str, &'a str)> {
    let (about, file_system) = line.split_once(" - ")?;
    let mut words = file_system.split(' ');
    (about.split(' ').nth(2)? == number).then_some((words.next()?, words.next()?))
}

/// The name of a block device and what it is: its model, or the driver of a virtual one.
fn disk(number: &str) -> Option<String> {
    let mut at = fs::canonicalize(format!("/sys/dev/block/{number}")).ok()?;
    if at.join("partition").exists() {
        at.pop();
    }
    let name = at.file_name()?.to_string_lossy().into_owned();
    let model = fs::read_to_string(at.join("device/model")).ok();
    let driver = || Some(fs::read_link(at.join("device/driver")).ok()?.file_name()?.to_string_lossy().into_owned());
    Some(match model.or_else(driver) {
        Some(what) => format!("{name} ({})", what.trim()),
        None => name,
    })
}

/// With the version that was built in.
fn versioned(package: &str) -> Option<(String, String)> {
    let (_, rest) = include_str!("../../Cargo.lock").split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some((package.to_owned(), rest.split('"').next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_is_found_by_its_device() {
        let line = "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard";
        assert_eq!(mounted(line, "254:0"), Some(("ext4", "/dev/vda")));
        assert_eq!(mounted(line, "254:1"), None);
    }

    #[test]
    fn fields_of_cpuinfo_are_told_apart() {
        assert_eq!(cpuinfo_field("model name\t: AMD EPYC", "model name"), Some("AMD EPYC"));
        assert_eq!(cpuinfo_field("model\t\t: 1", "model"), Some("1"));
        assert_eq!(cpuinfo_field("model name\t: AMD EPYC", "model"), None);
    }

    #[test]
    fn every_package_has_its_version() {
        let versions = Machine::this(Path::new("/")).versions;
        assert!(versions["tokio"].starts_with("1."), "{versions:?}");
    }
}
