//! The conversion: one checkpoint in, one safetensors file out.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use sha2::{Digest, Sha256};

use crate::{
    Format,
    blob::Blob,
    contents::{Contents, Entry},
    dtype::Dtype,
    element::{Choice, Element, Kept, encode},
    error::{Error, Result},
    options::Options,
    pattern::matches,
    source::Source,
    write::{Line, Output, header},
};

/// How to convert. The default keeps every type, recognises nothing and overwrites nothing.
#[derive(Clone, Default)]
pub struct Convert<'a> {
    /// How to read the input.
    pub options: Options,
    /// The type to write floating-point tensors in.
    pub element: Element,
    /// Says which architecture the tensors belong to.
    pub recognise: Option<&'a Recognise<'a>>,
    /// The architecture's name, where it is not recognised; where it is, the two must agree.
    pub architecture: Option<String>,
    /// Whether an output that is there already may be replaced.
    pub overwrite: bool,
    /// Patterns of the names of tensors that are left out, as [`crate::matches`] reads them.
    pub leave_out: Vec<String>,
    /// Once it is set, the conversion ends with [`Error::Cancelled`] and leaves nothing behind.
    pub cancelled: Option<&'a AtomicBool>,
}

/// Recognises an architecture, or says why not. The engine brings its own: this crate knows no
/// network, and the engine depends on this crate.
pub type Recognise<'a> = dyn Fn(&mut Source) -> std::result::Result<Recognition, String> + 'a;

/// A recognised architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognition {
    /// Its name.
    pub architecture: String,
    /// Its hyper-parameters.
    pub parameters: BTreeMap<String, String>,
}

/// What a conversion did.
#[derive(Clone, Debug)]
pub struct Report {
    /// How the input was laid out.
    pub format: Format,
    /// As [`Contents::container`].
    pub container: Option<String>,
    /// As [`Contents::candidates`].
    pub candidates: Vec<String>,
    /// As [`Contents::stripped`].
    pub stripped: Vec<String>,
    /// As [`Contents::dropped`].
    pub dropped: Vec<String>,
    /// Tensors written.
    pub tensors: usize,
    /// Length of the output in bytes.
    pub bytes: u64,
    /// SHA-256 of the input in hexadecimal digits; of each shard, in the order of their names,
    /// separated by commas.
    pub source_sha256: String,
    /// What [`Convert::recognise`] said; `None` when there was none to ask.
    pub recognition: Option<std::result::Result<Recognition, String>>,
    /// Values other than zero that became zero in a narrower type.
    pub flushed: u64,
    /// Tensors that stayed wider than [`Convert::element`] asks for.
    pub kept: Vec<Kept>,
}

/// Converts the checkpoint at `input`, a file or a folder of shards, to the safetensors file
/// `output`, which appears whole or not at all.
///
/// Equal inputs and options give equal bytes. Tensors are sorted by the size of their elements,
/// largest first, then by name, and every one is aligned to its elements. The metadata hold what the
/// input's did, and `architecture`, `parameters` (a JSON object), `source_sha256` and `converter`.
/// Besides the list of tensors no more than a few MiB are held in memory.
///
/// `progress` is called with the bytes that were read, and with how many there will be.
///
/// # Errors
/// As [`crate::open`]; [`Error::Write`], [`Error::Exists`], [`Error::SameFile`] and
/// [`Error::Architecture`].
pub fn convert(
    input: &Path,
    output: &Path,
    convert: &Convert<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report> {
    let mut source = Source::open(input, &convert.options)?;
    if source.files().any(|file| same_file(file, output)) {
        return Err(Error::SameFile { path: output.into() });
    }
    let checked = || match convert.cancelled {
        Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Cancelled),
        _ => Ok(()),
    };
    source.leave_out(|name| convert.leave_out.iter().any(|pattern| matches(pattern, name)));
    if source.contents().tensors.is_empty() {
        return Err(Error::NoTensors { found: "no tensor that is not left out".into() });
    }
    let recognition = convert.recognise.map(|recognise| recognise(&mut source));
    checked()?;
    let metadata = metadata(source.contents(), recognition.as_ref(), convert)?;
    let mut file = Output::create(output, convert.overwrite)?;

    let (mut done, mut total) = (0, input_bytes(source.contents(), convert.element));
    let mut plan = plan(&mut source, convert.element, &mut |bytes| {
        done += bytes;
        progress(done, total);
        checked()
    })?;
    plan.sort_by(|a, b| {
        let size = |item: &Item| item.choice.dtype.size();
        size(b).cmp(&size(a)).then_with(|| a.entry.name.cmp(&b.entry.name))
    });
    // From here on it is known how much there is to read.
    total = done + plan.iter().map(|item| bytes(&item.entry, item.entry.dtype)).sum::<u64>();

    let lines: Vec<Line<'_>> = plan.iter().map(Item::line).collect();
    let head = |sha256: &str| {
        let own = [("source_sha256", sha256.to_string()), ("converter", converter())];
        let borrowed = metadata.iter().map(|(key, value)| (key.as_str(), value.clone()));
        header(&borrowed.chain(own).collect(), &lines)
    };
    let files = source.bytes();
    // The hash is in the header, before the data, and is known after them: its room is kept.
    let first = head(&vec!["0".repeat(64); files.len()].join(","))?;
    let cancelled = AtomicBool::new(false);
    let hash =
        || files.iter().map(|file| sha256(file, &cancelled)).collect::<Result<Vec<String>>>();
    let hashes = std::thread::scope(|scope| {
        // Beside the writing, or after it where the system has no thread left.
        let hashes = std::thread::Builder::new().spawn_scoped(scope, hash);
        let written = (|| {
            file.write(&first)?;
            for item in &plan {
                let tensor = source.tensor(item.index)?;
                encode(&tensor, item.choice.dtype, |piece| {
                    done += (piece.len() / item.choice.dtype.size() * tensor.dtype.size()) as u64;
                    progress(done, total);
                    checked()?;
                    file.write(piece)
                })?;
            }
            Ok(())
        })();
        cancelled.store(written.is_err(), Ordering::Relaxed);
        let hashes = hashes.map(std::thread::ScopedJoinHandle::join);
        written?;
        match hashes {
            // A panic of our own goes on here.
            Ok(hashes) => hashes.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => hash(),
        }
    })?;
    let source_sha256 = hashes.join(",");
    let last = head(&source_sha256)?;
    file.finish(&last)?;

    let Contents { format, container, candidates, stripped, dropped, .. } = source.contents();
    Ok(Report {
        format: *format,
        container: container.clone(),
        candidates: candidates.clone(),
        stripped: stripped.clone(),
        dropped: dropped.clone(),
        tensors: plan.len(),
        bytes: (last.len() + lines.iter().map(|line| line.bytes).sum::<usize>()) as u64,
        source_sha256,
        recognition,
        flushed: plan.iter().map(|item| item.choice.flushed).sum(),
        kept: plan.into_iter().filter_map(|item| item.choice.kept).collect(),
    })
}

/// A tensor of the output.
struct Item {
    /// Where it is in the contents.
    index: usize,
    entry: Entry,
    choice: Choice,
}

impl Item {
    fn line(&self) -> Line<'_> {
        Line {
            name: &self.entry.name,
            dtype: self.choice.dtype,
            shape: self.entry.shape(),
            bytes: self.entry.numel() * self.choice.dtype.size(),
        }
    }
}

/// Chooses the type of every tensor.
fn plan(
    source: &mut Source,
    element: Element,
    read: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Vec<Item>> {
    let entries = source.contents().tensors.clone();
    let chosen = entries.into_iter().enumerate().map(|(index, entry)| {
        let choice = element.choose(entry.dtype, || source.tensor(index), &mut *read)?;
        Ok(Item { index, entry, choice })
    });
    chosen.collect()
}

/// Bytes that are read when no tensor has to be looked at twice.
fn input_bytes(contents: &Contents, element: Element) -> u64 {
    let passes = |dtype: Dtype| 1 + u64::from(element.depends_on_values(dtype));
    contents.tensors.iter().map(|entry| passes(entry.dtype) * bytes(entry, entry.dtype)).sum()
}

fn bytes(entry: &Entry, dtype: Dtype) -> u64 {
    (entry.numel() as u64).saturating_mul(dtype.size() as u64)
}

/// The output's metadata but for what is the same for all networks.
fn metadata(
    contents: &Contents,
    recognition: Option<&std::result::Result<Recognition, String>>,
    convert: &Convert<'_>,
) -> Result<BTreeMap<String, String>> {
    let mut metadata = contents.metadata.clone();
    // Left over from an earlier conversion.
    for key in ["architecture", "parameters", "source_sha256", "converter"] {
        metadata.remove(key);
    }
    let named = convert.architecture.as_ref();
    if let Some(Ok(Recognition { architecture, parameters })) = recognition {
        if let Some(named) = named.filter(|named| *named != architecture) {
            let (named, found) = (named.clone(), architecture.clone());
            return Err(Error::Architecture { named, found });
        }
        metadata.insert("architecture".into(), architecture.clone());
        let parameters = serde_json::to_string(parameters)
            .map_err(|e| Error::Safetensors { reason: e.to_string() })?;
        metadata.insert("parameters".into(), parameters);
    } else if let Some(named) = named {
        metadata.insert("architecture".into(), named.clone());
    }
    Ok(metadata)
}

/// `pentimento-convert 0.1.0`
fn converter() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// Hash of a whole file: of its data, which may lie in any order, and of what is between them.
fn sha256(file: &Blob, cancelled: &AtomicBool) -> Result<String> {
    let mut hash = Sha256::new();
    file.pieces(|piece| {
        if !cancelled.load(Ordering::Relaxed) {
            hash.update(piece);
        }
        Ok(())
    })?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
