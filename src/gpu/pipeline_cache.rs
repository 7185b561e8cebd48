//! Compiled kernels on disk, where the driver lets programs keep them (Vulkan). What is there is
//! used only when its hash is right; whatever is wrong with it, kernels are compiled anew.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::kept::{self, hash};

/// Begins each file; the number changes with what follows it: a hash of the rest, then wgpu's data.
const MAGIC: &[u8; 8] = b"pntm-pc1";

/// Larger files than this are none of ours.
const MAX_BYTES: u64 = 256 << 20;

/// The driver's compiled kernels of one device, and the file that keeps them.
#[derive(Debug)]
pub struct PipelineCache {
    /// For pipelines to be compiled with.
    pub raw: wgpu::PipelineCache,
    path: PathBuf,
    /// Hash of what the file holds; `None` when there is no sound one.
    stored: Mutex<Option<u64>>,
}

impl PipelineCache {
    /// Of `device`, in `folder`, which need not exist; `None` where its driver has none.
    pub fn open(device: &wgpu::Device, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let info = device.adapter_info();
        let key = wgpu::util::pipeline_cache_key(&info)?;
        // One file per driver: an update does not throw away what the other still needs.
        let driver = hash(format!("{} {}", info.driver, info.driver_info).as_bytes());
        let path = folder.join(format!("{key}_{driver:016x}"));
        let data = read(&path);
        let stored = data.as_deref().map(hash);
        let descriptor = wgpu::PipelineCacheDescriptor {
            label: Some("pentimento"),
            data: data.as_deref(),
            fallback: true,
        };
        // SAFETY: the data must come from `get_data` of a cache of the same adapter. Only `save`
        // writes files of this name, of this device and driver, and the hash tells that the bytes
        // are as it wrote them. Beyond that the folder is the user's own.
        let raw = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(Self { raw, path, stored: Mutex::new(stored) })
    }

    /// Writes what the driver has compiled by now, if that is news. A cache that cannot be written
    /// is not an error: the next start takes longer.
    pub fn save(&self) {
        let Some(data) = self.raw.get_data() else { return };
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let new = hash(&data);
        if *stored == Some(new) {
            return;
        }
        write(&self.path, &data);
        *stored = Some(new);
    }
}

/// What a file holds, if it is whole.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = kept::read(path, MAX_BYTES)?;
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, data) = rest.split_first_chunk::<8>()?;
    if magic != MAGIC || u64::from_le_bytes(*sum) != hash(data) {
        log::warn!("{}: damaged, kernels are compiled anew", path.display());
        return None;
    }
    bytes.drain(..16);
    Some(bytes)
}

fn write(path: &Path, data: &[u8]) {
    kept::write(path, &[MAGIC, &hash(data).to_le_bytes(), data]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("cache");
        assert_eq!(read(&path), None);
        write(&path, b"compiled");
        assert_eq!(read(&path).as_deref(), Some(&b"compiled"[..]));
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(read(&path), None, "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(read(&path), None, "{at} bytes");
        }
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn kernels_are_kept() {
        let Some(device) = crate::gpu::testing::device() else { return };
        let folder = tempfile::tempdir().unwrap();
        let Some(cache) = PipelineCache::open(&device.inner.raw, folder.path()) else {
            crate::skipped::skip("the driver keeps no pipelines");
            return;
        };
        cache.save();
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files(), 1);
        let again = PipelineCache::open(&device.inner.raw, folder.path()).unwrap();
        assert!(again.stored.lock().unwrap().is_some());
        again.save();
        assert_eq!(files(), 1);
        device.check().unwrap();
    }
}
