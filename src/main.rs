//! The command line, whose code is the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    leave_the_desktop_alone();
    pentimento::cli::main(std::env::args_os())
}

/// Where no desktop session runs (ssh, cron, containers), keeps a layer of Mesa out that asks the
/// desktop which GPU to show first: it starts Wayland for that, which then complains on standard
/// error. Devices are ranked here without it.
fn leave_the_desktop_alone() {
    const LAYER: &str = "NODEVICE_SELECT";
    let absent = |name: &str| std::env::var_os(name).is_none();
    // What libwayland asks for: an absolute path.
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    let has_session = folder.is_some_and(|folder| folder.is_absolute());
    if cfg!(target_os = "linux") && !has_session && absent(LAYER) && absent("MESA_VK_DEVICE_SELECT")
    {
        // SAFETY: the program has one thread yet, so that nobody reads the environment meanwhile.
        unsafe { std::env::set_var(LAYER, "1") };
    }
}
