//! Memory for large arrays. A convolution walks over hundreds of channels that lie a megabyte
//! apart: with pages of 4 KiB the processor then waits for its page tables. Linux gives pages of
//! 2 MiB to those that ask; elsewhere this is a vector.

use std::ops::{Deref, DerefMut};

/// Bytes from which on a system's large pages are asked for.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// An array of f32, zeros at first.
#[derive(Debug, Default)]
pub struct Pages(Memory);

#[derive(Debug)]
enum Memory {
    #[cfg(target_os = "linux")]
    Mapped(memmap2::MmapMut),
    Vector(Vec<f32>),
}

impl Default for Memory {
    fn default() -> Self {
        Memory::Vector(Vec::new())
    }
}

impl Pages {
    /// `len` zeros; `None` when the system refuses.
    pub fn new(len: usize) -> Option<Self> {
        #[cfg(target_os = "linux")]
        if let Some(bytes) = len.checked_mul(size_of::<f32>()).filter(|&bytes| bytes >= LARGE)
            && let Ok(map) = memmap2::MmapMut::map_anon(bytes)
        {
            if let Err(error) = map.advise(memmap2::Advice::HugePage) {
                log::debug!("no large pages: {error}");
            }
            return Some(Self(Memory::Mapped(map)));
        }
        let mut values = Vec::new();
        values.try_reserve_exact(len).ok()?;
        values.resize(len, 0.0);
        Some(Self(Memory::Vector(values)))
    }
}

impl Deref for Pages {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            // A map begins at a page, and holds whole f32.
            #[cfg(target_os = "linux")]
            Memory::Mapped(map) => bytemuck::cast_slice(map),
            Memory::Vector(values) => values,
        }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            #[cfg(target_os = "linux")]
            Memory::Mapped(map) => bytemuck::cast_slice_mut(map),
            Memory::Vector(values) => values,
        }
    }
}
