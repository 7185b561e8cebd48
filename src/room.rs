//! How much memory the system leaves this process. Where more is taken, Linux ends the process without a
//! word, or another one.

use std::path::Path;

/// Addresses that glibc's allocator reserves for a thread.
const ARENA: usize = 64 << 20;
/// Threads that take memory and begin after the first question. As many arenas were there more at the
/// peak of a run with one thread for the network; with up to 8 the addresses grew as much.
const LATER: usize = 4;
/// Addresses that the process takes beside its data as it goes on.
const BESIDE: usize = LATER * ARENA;

/// Bytes that the process may still take: what the machine, the control groups that it is in, and
/// its limit of addresses leave. `None` where the system does not tell.
pub fn left() -> Option<usize> {
    if cfg!(target_os = "linux") {
        left_of(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    } else {
        None
    }
}

fn left_of(processes: &Path, groups: &Path) -> Option<usize> {
    let all = [machine(processes), addresses(processes), group(processes, groups)];
    all.into_iter().flatten().min()
}

/// What is free or holds files that can be read again.
fn machine(processes: &Path) -> Option<usize> {
    let text = text(&processes.join("meminfo"))?;
    let available = kilobytes(&text, "MemAvailable:")?;
    Some(available.saturating_add(kilobytes(&text, "SwapFree:").unwrap_or_default()))
}

/// What `ulimit -v` leaves.
fn addresses(processes: &Path) -> Option<usize> {
    let limits = text(&processes.join("self/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: usize = line.split_whitespace().next()?.parse().ok()?;
    let taken = kilobytes(&text(&processes.join("self/status"))?, "VmSize:")?;
    Some(limit.saturating_sub(taken).saturating_sub(BESIDE))
}

/// What the control groups of the process leave: the folders from its own up to the root's, of
/// version 2 or 1. A container may not see its own folder under its name; its root is that folder then.
fn group(processes: &Path, groups: &Path) -> Option<usize> {
    let lines = text(&processes.join("self/cgroup"))?;
    let mut least: Option<usize> = None;
    for line in lines.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (root, files) = match controllers {
            "" => (groups.to_owned(), ["memory.max", "memory.current", "inactive_file "]),
            _ if controllers.split(',').any(|name| name == "memory") => (
                groups.join("memory"),
                ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "],
            ),
            _ => continue,
        };
        let own = root.join(path.trim_start_matches('/'));
        for folder in own.ancestors().take_while(|folder| folder.starts_with(&root)) {
            let number = |file: &str| text(&folder.join(file))?.trim().parse::<usize>().ok();
            let (Some(limit), Some(taken)) = (number(files[0]), number(files[1])) else { continue };
            // Files that can be read again count as taken.
            let stat = text(&folder.join("memory.stat")).unwrap_or_default();
            let cached = stat.lines().find_map(|line| line.strip_prefix(files[2])?.parse().ok());
            let left = limit.saturating_sub(taken.saturating_sub(cached.unwrap_or(0)));
            least = Some(least.map_or(left, |least| least.min(left)));
        }
    }
    least
}

fn kilobytes(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<usize>().ok()?.checked_mul(1024)
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system whose files have these texts.
    fn left_with(files: &[(&str, &str)]) -> Option<usize> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        left_of(&folder.path().join("proc"), &folder.path().join("groups"))
    }

    const MACHINE: (&str, &str) =
        ("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 4000 kB\nSwapFree: 96 kB\n");

    #[test]
    fn the_least_of_all_limits_counts() {
        assert_eq!(left_with(&[]), None);
        assert_eq!(left_with(&[MACHINE]), Some(4096 << 10));
        let unlimited = ("proc/self/limits", "Max address space   unlimited   unlimited   bytes\n");
        let status = ("proc/self/status", "Name: a\nVmSize:\t    1000 kB\n");
        assert_eq!(left_with(&[MACHINE, unlimited, status]), Some(4096 << 10));
        let limited = ("proc/self/limits", "Max address space   270483456   unlimited   bytes\n");
        assert_eq!(left_with(&[MACHINE, limited, status]), Some(270_483_456 - 1_024_000 - BESIDE));
    }

    #[test]
    fn groups_are_looked_at_up_to_the_root() {
        let second = [
            MACHINE,
            ("proc/self/cgroup", "0::/user/job\n"),
            ("groups/user/job/memory.max", "max\n"),
            ("groups/user/job/memory.current", "5\n"),
            ("groups/user/memory.max", "100000\n"),
            ("groups/user/memory.current", "60000\n"),
            ("groups/user/memory.stat", "anon 1\ninactive_file 15000\n"),
        ];
        assert_eq!(left_with(&second), Some(55_000));
        // In a container whose root is the group's own folder.
        let first = [
            MACHINE,
            ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/b\n"),
            ("groups/memory/memory.limit_in_bytes", "30000\n"),
            ("groups/memory/memory.usage_in_bytes", "40000\n"),
        ];
        assert_eq!(left_with(&first), Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_system_tells() {
        assert!(left().is_some_and(|left| left > 1 << 20));
    }
}
