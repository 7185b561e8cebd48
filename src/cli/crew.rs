//! The devices that share the pictures of a run.

use std::collections::HashSet;

use pentimento::photo::BatchReport;
use pentimento::{DeviceInfo, Engine, EngineOptions, Error, Result};
use serde::Serialize;

use super::EngineArgs;
use super::faces::Worker;
use super::output::print_note;

/// A device with what restores pictures on it.
pub struct Seat {
    pub engine: Engine,
    pub worker: Worker,
    pub share: Share,
    /// What goes on when the device is lost and no other is left: the CPU, where nobody named a
    /// device.
    pub spare: Option<EngineOptions>,
    /// What the device did whose place the spare has taken.
    pub before: Option<Share>,
    /// What workers did that were replaced.
    replaced: Option<BatchReport>,
    notes: Vec<String>,
}

impl Seat {
    /// A device that `--device` calls `device`.
    pub fn new(
        device: String,
        engine: Engine,
        worker: Worker,
        spare: Option<EngineOptions>,
    ) -> Self {
        let name = engine.device().name.clone();
        let share = Share { device, name, ..Share::default() };
        Self { engine, worker, share, spare, before: None, replaced: None, notes: Vec::new() }
    }

    /// Goes on with another worker on the same device.
    pub fn replace(&mut self, worker: Worker) {
        self.count();
        self.replaced = self.share.batch;
        self.worker = worker;
    }

    /// Notes how many faces were restored at a time.
    pub fn count(&mut self) {
        self.share.batch = self.worker.batch().map(|now| match self.replaced {
            Some(BatchReport { together, alone, .. }) => {
                BatchReport { together: now.together + together, alone: now.alone + alone, ..now }
            }
            None => now,
        });
    }

    /// Takes the spare for the device that was lost; false where there is none.
    ///
    /// # Errors
    /// When there is no worker for it.
    pub fn take_spare(
        &mut self,
        why: &str,
        renew: impl Fn(&Engine) -> Result<Worker>,
    ) -> Result<bool> {
        let Some(options) = self.spare.take() else { return Ok(false) };
        let engine = Engine::new(&options)?;
        let worker = renew(&engine)?;
        let lost = Share { lost: Some(why.to_owned()), ..self.share.clone() };
        let notes = self.take_notes();
        let spare = Self::new("cpu".to_owned(), engine, worker, None);
        *self = Self { before: Some(lost), notes, ..spare };
        Ok(true)
    }

    /// What was found out about its devices since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.engine.take_notes());
        notes
    }

    /// What its devices did, the one that was lost first.
    pub fn shares(&self) -> impl Iterator<Item = &Share> {
        self.before.iter().chain([&self.share])
    }
}

/// What a device did in a run.
#[derive(Clone, Default, Serialize)]
pub struct Share {
    /// What `--device` calls it; nothing where the device was not named.
    pub device: String,
    pub name: String,
    /// Pictures that it computed, with those that failed.
    pub pictures: usize,
    /// Seconds that it had a picture.
    pub working: f64,
    /// How many faces of photos its network took at a time, and how many it restored so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchReport>,
    /// Why it was lost, after which the others took its pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

impl EngineArgs {
    /// The devices that the arguments name, and what they call them.
    ///
    /// # Errors
    /// As [`Engine::new`], for a device that is named; [`Error::Input`] for a list with an empty or
    /// a repeated name. Of `all`, only those that can be opened are taken.
    pub fn engines(&self) -> Result<Vec<(String, Engine)>> {
        let options = self.options();
        let Some(list) = options.device.as_deref().filter(|list| is_list(list)) else {
            let engine = Engine::new(&options)?;
            engine.take_notes().iter().for_each(print_note);
            return Ok(vec![(options.device.unwrap_or_default(), engine)]);
        };
        let known = Engine::devices();
        let mut engines = Vec::new();
        for Wanted { name, by_all } in wanted(list, &known)? {
            match Engine::new(&EngineOptions { device: Some(name.clone()), ..options.clone() }) {
                Ok(engine) => engines.push((name, engine)),
                Err(error) if by_all && known.len() > 1 => {
                    print_note(&format!("the device {name} is left out: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        if engines.is_empty() {
            let what = "none of this machine's GPUs can be opened; --device cpu needs none";
            return Err(Error::Device(what.to_owned()));
        }
        share_memory(&mut engines, &options)?;
        Ok(engines)
    }
}

/// Whether the argument may name several devices.
fn is_list(argument: &str) -> bool {
    argument.contains(',') || argument.trim().eq_ignore_ascii_case("all")
}

#[derive(PartialEq, Eq, Debug)]
struct Wanted {
    name: String,
    /// Whether `all` named it.
    by_all: bool,
}

/// The devices of a list. A name of a device may itself contain a comma.
fn wanted(list: &str, known: &[DeviceInfo]) -> Result<Vec<Wanted>> {
    let whole = list.trim().to_lowercase();
    let is_name = |device: &DeviceInfo| {
        [&device.name, &device.driver].iter().any(|text| text.to_lowercase().contains(&whole))
    };
    if known.iter().any(is_name) {
        return Ok(vec![Wanted { name: list.to_owned(), by_all: false }]);
    }
    let mut devices: Vec<Wanted> = Vec::new();
    let mut seen = HashSet::new();
    for name in list.split(',').map(str::trim) {
        if name.is_empty() {
            let what = format!("--device {list}: an entry is empty; write it as in --device 0,cpu");
            return Err(Error::Input(what));
        }
        let by_all = name.eq_ignore_ascii_case("all");
        let names = if by_all { all(known) } else { vec![name.to_owned()] };
        for name in names {
            if seen.insert(name.to_lowercase()) {
                devices.push(Wanted { name, by_all });
            } else if !by_all {
                let what = format!("--device {list} names {name} twice; name each device once");
                return Err(Error::Input(what));
            }
        }
    }
    Ok(devices)
}

/// Every real GPU once: two interfaces of a system show the same GPUs, so that those of the best
/// GPU's interface count. Without any, the CPU.
fn all(known: &[DeviceInfo]) -> Vec<String> {
    let backend = known.iter().find(|device| device.default).map(|device| &device.backend);
    let gpus = known.iter().filter(|device| {
        device.kind != "software" && device.index.is_some() && Some(&device.backend) == backend
    });
    let names: Vec<String> =
        gpus.filter_map(|device| device.index.map(|index| index.to_string())).collect();
    if names.is_empty() { vec!["cpu".to_owned()] } else { names }
}

/// Devices that compute in the machine's own memory share the budget in equal parts; a discrete GPU
/// has all of it to itself.
fn share_memory(engines: &mut [(String, Engine)], options: &EngineOptions) -> Result<()> {
    let Some(budget) = options.memory else { return Ok(()) };
    let in_main_memory = |engine: &Engine| engine.device().kind != "discrete";
    let sharing = engines.iter().filter(|(_, engine)| in_main_memory(engine)).count();
    if sharing < 2 {
        return Ok(());
    }
    for (name, engine) in engines.iter_mut().filter(|(_, engine)| in_main_memory(engine)) {
        let mut own = EngineOptions { device: Some(name.clone()), ..options.clone() };
        own.memory = Some((budget / sharing).max(1));
        *engine = Engine::new(&own)?;
    }
    Ok(())
}

/// The devices that were lost.
pub fn lost(crew: &[Seat]) -> impl Iterator<Item = &Share> {
    crew.iter().flat_map(Seat::shares).filter(|share| share.lost.is_some())
}

/// The devices of `shares` for a person: by name, with how many pictures each had where there are
/// several, and which were lost.
pub fn described(shares: &[Share]) -> String {
    if let [only] = shares {
        return only.name.clone();
    }
    let one = |share: &Share| {
        let Share { device, name, pictures, lost, .. } = share;
        let lost = if lost.is_some() { ", lost" } else { "" };
        let colon = if device.is_empty() { "" } else { ": " };
        format!("{name} ({device}{colon}{pictures}{lost})")
    };
    shares.iter().map(one).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: Option<usize>, name: &str, backend: &str, kind: &str) -> DeviceInfo {
        let cpu = Engine::devices().pop().expect("the CPU is a device");
        let (name, backend, kind) = (name.to_owned(), backend.to_owned(), kind.to_owned());
        DeviceInfo { index, name, backend, kind, default: false, ..cpu }
    }

    fn names(list: &str, known: &[DeviceInfo]) -> Vec<String> {
        wanted(list, known).unwrap().into_iter().map(|wanted| wanted.name).collect()
    }

    #[test]
    fn all_is_every_gpu_once_and_the_cpu_where_there_is_none() {
        let gpus = [
            DeviceInfo { default: true, ..device(Some(0), "A", "vulkan", "discrete") },
            device(Some(1), "B", "vulkan", "integrated"),
            device(Some(2), "llvmpipe (LLVM 19, 256 bits)", "vulkan", "software"),
            device(Some(3), "A", "dx12", "discrete"),
            device(None, "CPU", "cpu", "cpu"),
        ];
        assert_eq!(names("all", &gpus), ["0", "1"]);
        assert_eq!(names("ALL, cpu", &gpus), ["0", "1", "cpu"]);
        assert_eq!(names("1,all", &gpus), ["1", "0"]);
        assert_eq!(names("all", &gpus[2..3]), ["cpu"]);
        assert_eq!(names("cpu,2", &gpus), ["cpu", "2"]);
        assert_eq!(names("LLVM 19, 256", &gpus), ["LLVM 19, 256"], "a comma of a name");
    }

    #[test]
    fn a_list_with_an_empty_or_repeated_name_is_refused() {
        let cpu = [device(None, "CPU", "cpu", "cpu")];
        for (list, why) in [("0,,1", "an entry is empty"), ("cpu,CPU", "twice"), (",", "empty")] {
            let error = wanted(list, &cpu).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(list), "{error}");
        }
    }
}
