//! What the caller decides: which weights, how strict, and how much a file may ask for.

/// How to read a checkpoint. `Options::default()` is right for a file from the internet.
#[derive(Clone, Debug)]
pub struct Options {
    /// The top-level entry that holds the weights, such as `Some("g".into())`. An empty name means
    /// tensors that lie directly at the top. `None` chooses by [`crate::CONTAINERS`].
    pub key: Option<String>,
    /// Drop objects of classes that are not needed for weights (`argparse.Namespace`, a training
    /// framework's classes) instead of refusing the file. They are dropped, never built or run.
    pub skip_unknown: bool,
    /// Compare the CRC-32 of each zip entry that is read. Turn this off for a file that was saved
    /// with checksums disabled. The legacy format has none.
    pub verify_checksums: bool,
    /// Map the file instead of reading it into memory, and inflate large entries into unnamed
    /// temporary files. Nobody may change or truncate the file while
    /// its tensors are in use: on truncation the operating system would end the process. Turn this
    /// off for a file that someone else can write to.
    pub memory_map: bool,
    /// Bounds on what a file may ask for.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key: None,
            skip_unknown: false,
            verify_checksums: true,
            memory_map: true,
            limits: Limits::default(),
        }
    }
}

/// Bounds on what a file may ask for; going over one is an [`crate::Error::Limit`] naming its field.
///
/// The networks this engine runs stay below a tenth of each: the largest has about 1,100 tensors,
/// which take 40,000 pickle operations, 10,000 memo entries and 160 kB of pickle.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Entries of a zip file.
    pub zip_entries: usize,
    /// Bytes of one pickle.
    pub pickle_bytes: usize,
    /// Tensors.
    pub tensors: usize,
    /// Layers of an ONNX file or of an ncnn model.
    pub layers: usize,
    /// Bytes of the header of a safetensors file.
    pub header_bytes: usize,
    /// Entries of a safetensors file's metadata.
    pub metadata: usize,
    /// Dictionaries with tensors that a checkpoint may hold inside of each other.
    pub places: usize,
    /// Values that one pickle may push, repeated references included.
    pub objects: usize,
    /// Values that one pickle may remember for later references.
    pub memo: usize,
    /// Containers open at the same time in one pickle.
    pub depth: usize,
    /// How many times larger than the file its inflated entries together, and its tensors
    /// together, may be (a tensor of stride 0 needs more bytes than it takes).
    pub expansion_ratio: u64,
    /// Bytes below which `expansion_ratio` does not count.
    pub expansion_floor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zip_entries: 1 << 16,
            pickle_bytes: 1 << 26,
            tensors: 1 << 16,
            layers: 1 << 16,
            header_bytes: 1 << 24,
            metadata: 1 << 12,
            places: 1 << 10,
            objects: 1 << 20,
            memo: 1 << 18,
            depth: 1000,
            expansion_ratio: 4,
            expansion_floor: 1 << 26,
        }
    }
}

impl Limits {
    /// Bounds for a file that is known to come from where it should: sixty-four times the usual.
    pub fn of_a_trusted_file() -> Self {
        const TIMES: usize = 64;
        let usual = Self::default();
        Self {
            zip_entries: usual.zip_entries.saturating_mul(TIMES),
            pickle_bytes: usual.pickle_bytes.saturating_mul(TIMES),
            tensors: usual.tensors.saturating_mul(TIMES),
            layers: usual.layers.saturating_mul(TIMES),
            header_bytes: usual.header_bytes.saturating_mul(TIMES),
            metadata: usual.metadata.saturating_mul(TIMES),
            places: usual.places.saturating_mul(TIMES),
            objects: usual.objects.saturating_mul(TIMES),
            memo: usual.memo.saturating_mul(TIMES),
            depth: usual.depth.saturating_mul(TIMES),
            expansion_ratio: usual.expansion_ratio.saturating_mul(TIMES as u64),
            expansion_floor: usual.expansion_floor.saturating_mul(TIMES as u64),
        }
    }

    /// Bytes that a file of `file_bytes` may grow to.
    pub(crate) fn expansion(&self, file_bytes: usize) -> u64 {
        (file_bytes as u64).saturating_mul(self.expansion_ratio).max(self.expansion_floor)
    }
}
