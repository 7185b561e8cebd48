//! Goldens in memory: their tensors and how far they are from results. The tests in browsers, where
//! there are no files, use it too.

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::Param;
use pentimento::tensor::Shape;

/// The tensor of a `.npy` file of f32, or of i32 that f32 holds exactly.
pub fn tensor(bytes: &[u8]) -> (Vec<usize>, Vec<f32>) {
    let file = npyz::NpyFile::new(bytes).expect("a golden is a .npy file");
    let dims = file.shape().iter().map(|&d| d as usize).collect();
    if let npyz::DType::Plain(dtype) = file.dtype()
        && dtype.type_char() == npyz::TypeChar::Int
    {
        let values = file.into_vec::<i32>().expect("a golden holds i32");
        return (dims, values.into_iter().map(|v| v as f32).collect());
    }
    (dims, file.into_vec::<f32>().expect("a golden holds f32"))
}

/// `[N, C]`, `[N, codes, C]` (one vector of all codes) and `[N, C, H, W]` as a [`Shape`].
pub fn shape(dims: &[usize]) -> Shape {
    match *dims {
        [n, c] => Shape::vector(n, c),
        [n, codes, c] => Shape::vector(n, codes * c),
        [n, c, h, w] => Shape::new(n, c, h, w),
        _ => panic!("{dims:?} is not an activation"),
    }
}

/// A checkpoint of tensors made for a test.
pub fn checkpoint(tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>) -> Checkpoint {
    let params = tensors.into_iter().map(|(n, dims, values)| Param::from_values(n, dims, &values));
    Checkpoint::from_params("test", params)
}

/// `‖a - b‖ / ‖b‖`, where a reference that is all zero counts as norm 1.
pub fn relative_error(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len(), "another number of values");
    let square = |v: f64| v * v;
    let (mut difference, mut norm) = (0.0, 0.0);
    for (&a, &b) in actual.iter().zip(expected) {
        difference += square(f64::from(a) - f64::from(b));
        norm += square(f64::from(b));
    }
    if norm == 0.0 { difference.sqrt() } else { (difference / norm).sqrt() }
}
