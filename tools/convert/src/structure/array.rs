//! A constant of a graph: dimensions, an element type and bytes, often still the file's own.

use crate::{blob::Blob, dtype::Dtype, element::decode, tensor::MAX_DIMS};

/// A dense, little-endian array in row-major order. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    dims: Vec<usize>,
    dtype: Dtype,
    bytes: Blob,
}

impl Array {
    /// `None` if the bytes are not as many as the dimensions say.
    pub fn new(dims: Vec<usize>, dtype: Dtype, bytes: Blob) -> Option<Self> {
        let fits = count(&dims)?.checked_mul(dtype.size())? == bytes.len();
        fits.then_some(Self { dims, dtype, bytes })
    }

    /// `None` if the values are not as many as the dimensions say.
    pub fn of_f32(dims: Vec<usize>, values: &[f32]) -> Option<Self> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(dims, Dtype::F32, Blob::from_vec(bytes))
    }

    /// `None` if the values are not as many as the dimensions say.
    pub fn of_i64(dims: Vec<usize>, values: &[i64]) -> Option<Self> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(dims, Dtype::I64, Blob::from_vec(bytes))
    }

    /// One value for each of `count` places, in one dimension.
    pub fn filled(count: usize, value: f32) -> Option<Self> {
        Self::of_f32(vec![count], &vec![value; count])
    }

    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    pub fn bytes(&self) -> &Blob {
        &self.bytes
    }

    pub fn numel(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// Gives the elements other dimensions.
    pub fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        Self::new(dims.to_vec(), self.dtype, self.bytes.clone())
    }

    /// The elements as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        decode(self.bytes.bytes(), self.dtype)
    }

    /// The only element, of any number of dimensions.
    pub fn scalar(&self) -> Option<f32> {
        let value = (self.numel() == 1).then(|| self.to_f32());
        value.and_then(|value| value.first().copied())
    }

    /// The value that all elements have.
    pub fn uniform(&self) -> Option<f32> {
        let values = self.to_f32();
        let first = *values.first()?;
        values.iter().all(|&value| value == first).then_some(first)
    }

    /// The elements of a short list of integers.
    pub fn to_ints(&self) -> Option<Vec<i64>> {
        let bytes = self.bytes.bytes();
        if self.numel() > 4 * MAX_DIMS {
            return None;
        }
        match self.dtype {
            Dtype::I64 => {
                Some(bytes.as_chunks::<8>().0.iter().map(|&b| i64::from_le_bytes(b)).collect())
            }
            Dtype::I32 => {
                let ints = bytes.as_chunks::<4>().0.iter();
                Some(ints.map(|&b| i32::from_le_bytes(b).into()).collect())
            }
            _ => None,
        }
    }

    /// Dimension `i` of the result is dimension `order[i]` of this.
    pub fn transposed(&self, order: &[usize]) -> Option<Self> {
        let rank = self.dims.len();
        let mut seen = vec![false; rank];
        for &axis in order {
            *seen.get_mut(axis)? = true;
        }
        if order.len() != rank || seen.contains(&false) {
            return None;
        }
        let mut strides = vec![1_usize; rank];
        let mut product = 1_usize;
        for (stride, &d) in strides.iter_mut().zip(&self.dims).rev() {
            *stride = product;
            product = product.saturating_mul(d);
        }
        let dims: Vec<usize> = order.iter().filter_map(|&a| self.dims.get(a).copied()).collect();
        let steps: Vec<usize> = order.iter().filter_map(|&a| strides.get(a).copied()).collect();
        let (bytes, size) = (self.bytes.bytes(), self.dtype.size());
        let mut out = Vec::with_capacity(bytes.len());
        let (mut index, mut at) = (vec![0_usize; rank], 0_usize);
        for _ in 0..self.numel() {
            out.extend_from_slice(bytes.get(at * size..(at + 1) * size)?);
            for ((i, &d), &step) in index.iter_mut().zip(&dims).zip(&steps).rev() {
                *i += 1;
                at += step;
                if *i < d {
                    break;
                }
                at -= d * step;
                *i = 0;
            }
        }
        Self::new(dims, self.dtype, Blob::from_vec(out))
    }

    /// Rows `start..end` of the first dimension, without a copy.
    pub fn rows(&self, start: usize, end: usize) -> Option<Self> {
        let (&rows, rest) = self.dims.split_first()?;
        if start > end || end > rows {
            return None;
        }
        let row = self.bytes.len().checked_div(rows)?;
        let dims = [&[end - start], rest].concat();
        Self::new(dims, self.dtype, self.bytes.slice(start * row..end * row)?)
    }

    /// Arrays of one element type one after the other along the first dimension.
    pub fn stacked(parts: &[&Self]) -> Option<Self> {
        let first = *parts.first()?;
        let (_, rest) = first.dims.split_first()?;
        let mut rows = 0;
        let mut bytes = Vec::new();
        for part in parts {
            let (&own, others) = part.dims.split_first()?;
            if others != rest || part.dtype != first.dtype {
                return None;
            }
            rows += own;
            bytes.extend_from_slice(part.bytes.bytes());
        }
        Self::new([&[rows], rest].concat(), first.dtype, Blob::from_vec(bytes))
    }

    /// Every element divided by `divisor`, as f32.
    pub fn divided(&self, divisor: f32) -> Option<Self> {
        let values: Vec<f32> = self.to_f32().iter().map(|value| value / divisor).collect();
        Self::of_f32(self.dims.clone(), &values)
    }
}

/// Product of dimensions, `None` when it overflows or there are too many.
pub(crate) fn count(dims: &[usize]) -> Option<usize> {
    if dims.len() > MAX_DIMS {
        return None;
    }
    dims.iter().try_fold(1_usize, |product, &d| product.checked_mul(d))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Array;

    #[test]
    fn transposing_moves_elements() {
        let values: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let array = Array::of_f32(vec![2, 3, 4], &values).unwrap();
        let moved = array.transposed(&[2, 0, 1]).unwrap();
        assert_eq!(moved.dims(), [4, 2, 3]);
        // moved[c][a][b] = array[a][b][c]
        assert_eq!(moved.to_f32().get(..7).unwrap(), [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 1.0]);
        assert!(array.transposed(&[0, 1]).is_none());
        assert!(array.transposed(&[0, 1, 1]).is_none());
        assert!(array.transposed(&[0, 1, 3]).is_none());
    }

    #[test]
    fn rows_are_a_part_and_stack_again() {
        let array = Array::of_f32(vec![3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let (top, rest) = (array.rows(0, 1).unwrap(), array.rows(1, 3).unwrap());
        assert_eq!(rest.to_f32(), [2.0, 3.0, 4.0, 5.0]);
        let again = Array::stacked(&[&top, &rest]).unwrap();
        assert_eq!((again.dims(), again.to_f32()), (array.dims(), array.to_f32()));
        assert!(array.rows(2, 4).is_none());
        assert!(Array::of_f32(vec![2, 2], &[0.0; 3]).is_none());
    }
}
