//! Memory whose size a file tells: where there is none, that is an error of this file.

/// `count` times `value`.
pub(super) fn filled<T: Clone>(count: usize, value: T) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| NO_MEMORY.to_owned())?;
    all.resize(count, value);
    Ok(all)
}

pub(super) const NO_MEMORY: &str = "the picture needs more memory than there is to be decoded";
