//! Memory whose size a picture tells: where there is none, that is an error, not the end of the program.

use crate::error::{Error, Result};

/// An empty array for so many bytes.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn with_capacity(len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::OutOfMemory {
        needed: len,
        available: 0,
        hint: "the system has no more memory for a result; end other programs, or try a smaller \
               picture"
            .to_owned(),
    })?;
    Ok(bytes)
}

/// An array of so many zeros.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn zeros(len: usize) -> Result<Vec<u8>> {
    let mut bytes = with_capacity(len)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        assert!(matches!(zeros(usize::MAX / 4), Err(Error::OutOfMemory { .. })));
        assert_eq!(zeros(3).unwrap(), [0; 3]);
    }
}
