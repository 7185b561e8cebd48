//! Computes what depends on constants alone, so that a file is the same whether its maker folded its
//! constants or not. No more bytes are made than a multiple of the file's size.

use crate::{
    dtype::Dtype,
    structure::{Array, count},
    tensor::MAX_DIMS,
};

use super::model::Node;

/// What a layer of these constants gives; `None` when it is not one that is folded.
pub(super) fn fold(
    node: &Node<'_>,
    inputs: &[&Array],
    opset: i64,
    budget: &mut usize,
) -> Option<Array> {
    let array = compute(node, inputs, opset, *budget)?;
    *budget = budget.checked_sub(array.bytes().len())?;
    Some(array)
}

fn compute(node: &Node<'_>, inputs: &[&Array], opset: i64, budget: usize) -> Option<Array> {
    match (node.kind, inputs) {
        ("Add", &[a, b]) => broadcast(a, b, budget, |a, b| a + b),
        ("Sub", &[a, b]) => broadcast(a, b, budget, |a, b| a - b),
        ("Mul", &[a, b]) => broadcast(a, b, budget, |a, b| a * b),
        ("Div", &[a, b]) => match a.dtype() {
            Dtype::I64 | Dtype::I32 => broadcast(a, b, budget, |a, b| (a / b).trunc()),
            _ => broadcast(a, b, budget, |a, b| a / b),
        },
        ("Pow", &[a, b]) => broadcast(a, b, budget, f64::powf),
        ("Sqrt", &[a]) => each(a, f64::sqrt),
        ("Reciprocal", &[a]) => each(a, |v| 1.0 / v),
        ("Neg", &[a]) => each(a, |v| -v),
        ("Identity" | "Dropout", &[a, ..]) => Some(a.clone()),
        ("Cast", &[a]) => cast(a, node.int("to", 1)),
        ("Transpose", &[a]) => {
            let order: Option<Vec<usize>> = match node.ints("perm") {
                Some(order) => order.iter().map(|&axis| usize::try_from(axis).ok()).collect(),
                None => Some((0..a.dims().len()).rev().collect()),
            };
            (a.bytes().len() <= budget).then(|| a.transposed(&order?)).flatten()
        }
        ("Reshape", &[a, shape]) => {
            let dims = shape.to_ints()?;
            reshaped(a, &dims)
        }
        ("Flatten", &[a]) if node.int("axis", 1) == 1 => {
            let rows = a.dims().first().copied()?;
            a.reshaped(&[rows, a.numel().checked_div(rows)?])
        }
        ("Unsqueeze", &[a, ref rest @ ..]) => unsqueezed(a, &axes(node, rest, opset)?),
        ("Squeeze", &[a, ref rest @ ..]) => squeezed(a, axes(node, rest, opset)),
        ("Expand", &[a, shape]) => {
            let dims: Option<Vec<usize>> =
                shape.to_ints()?.iter().map(|&d| usize::try_from(d).ok()).collect();
            let dims = dims?;
            stretched(a, &dims, budget)
        }
        ("Tile", &[a, times]) => times.to_ints()?.iter().all(|&n| n == 1).then(|| a.clone()),
        ("Concat", parts) if node.int("axis", 0) == 0 => {
            let bytes: usize = parts.iter().map(|part| part.bytes().len()).sum();
            (bytes <= budget).then(|| Array::stacked(parts)).flatten()
        }
        ("Gather", &[a, index]) if node.int("axis", 0) == 0 => {
            let &[index] = index.to_ints()?.as_slice() else { return None };
            let rows = i64::try_from(*a.dims().first()?).ok()?;
            let row = usize::try_from(if index < 0 { index + rows } else { index }).ok()?;
            let picked = a.rows(row, row.checked_add(1)?)?;
            picked.reshaped(picked.dims().get(1..)?)
        }
        ("Slice", &[a, starts, ends, ref rest @ ..]) => slice(a, starts, ends, rest),
        ("Shape", &[a]) => {
            let dims: Option<Vec<i64>> = a.dims().iter().map(|&d| i64::try_from(d).ok()).collect();
            let dims = dims?;
            Array::of_i64(vec![dims.len()], &dims)
        }
        ("ConstantOfShape", &[shape]) => {
            let dims: Option<Vec<usize>> =
                shape.to_ints()?.iter().map(|&d| usize::try_from(d).ok()).collect();
            let dims = dims?;
            // Only what pads and shapes are made of.
            let numel = count(&dims).filter(|&numel| numel <= 4 * MAX_DIMS)?;
            match node.value() {
                Some(value) => match value.to_ints() {
                    Some(value) => Array::of_i64(dims, &vec![*value.first()?; numel]),
                    None => Array::of_f32(dims, &vec![value.scalar()?; numel]),
                },
                None => Array::of_f32(dims, &vec![0.0; numel]),
            }
        }
        _ => None,
    }
}

/// A run along the first axis, or all of it turned around.
fn slice(a: &Array, starts: &Array, ends: &Array, rest: &[&Array]) -> Option<Array> {
    let one = |array: &Array| match array.to_ints()?.as_slice() {
        &[value] => Some(value),
        _ => None,
    };
    let step = rest.get(1).map_or(Some(1), |steps| one(steps))?;
    let (start, end) = (one(starts)?, one(ends)?);
    if rest.first().map_or(Some(0), |axes| one(axes))? != 0 {
        return None;
    }
    let count = *a.dims().first()?;
    let rows = i64::try_from(count).ok()?;
    if step == -1 && start == -1 && end < -rows && count <= 4 * MAX_DIMS {
        let turned: Option<Vec<Array>> = (0..count).rev().map(|row| a.rows(row, row + 1)).collect();
        return Array::stacked(&turned?.iter().collect::<Vec<_>>());
    }
    let place =
        |at: i64| usize::try_from(if at < 0 { at.checked_add(rows)? } else { at.min(rows) }).ok();
    (step == 1).then(|| a.rows(place(start)?, place(end)?))?
}

/// The axes of an attribute, or since version 13 of an input.
fn axes(node: &Node<'_>, rest: &[&Array], opset: i64) -> Option<Vec<i64>> {
    match (node.ints("axes"), rest) {
        (Some(axes), _) if opset < 13 => Some(axes.to_vec()),
        (_, [axes, ..]) => axes.to_ints(),
        _ => None,
    }
}

/// With -1 for what is left over, and 0 for the dimension that is there.
fn reshaped(a: &Array, dims: &[i64]) -> Option<Array> {
    let mut sizes = Vec::new();
    let mut open = None;
    for (i, &d) in dims.iter().enumerate() {
        sizes.push(match d {
            0 => *a.dims().get(i)?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            d => usize::try_from(d).ok()?,
        });
    }
    if let Some(open) = open {
        let rest = a.numel().checked_div(count(&sizes)?)?;
        *sizes.get_mut(open)? = rest;
    }
    a.reshaped(&sizes)
}

fn unsqueezed(a: &Array, axes: &[i64]) -> Option<Array> {
    let rank = a.dims().len() + axes.len();
    if rank > MAX_DIMS {
        return None;
    }
    let mut dims: Vec<Option<usize>> = vec![None; rank];
    for &axis in axes {
        let axis = if axis < 0 { axis + i64::try_from(rank).ok()? } else { axis };
        *dims.get_mut(usize::try_from(axis).ok()?)? = Some(1);
    }
    let mut own = a.dims().iter();
    let dims: Option<Vec<usize>> =
        dims.into_iter().map(|d| d.or_else(|| own.next().copied())).collect();
    a.reshaped(&dims?)
}

fn squeezed(a: &Array, axes: Option<Vec<i64>>) -> Option<Array> {
    let rank = i64::try_from(a.dims().len()).ok()?;
    let gone = |i: usize, d: usize| match &axes {
        None => d == 1,
        Some(axes) => axes.iter().any(|&axis| {
            let axis = if axis < 0 { axis + rank } else { axis };
            usize::try_from(axis) == Ok(i)
        }),
    };
    let dims: Vec<usize> =
        a.dims().iter().enumerate().filter(|&(i, &d)| !gone(i, d)).map(|(_, &d)| d).collect();
    a.reshaped(&dims)
}

fn cast(a: &Array, to: i64) -> Option<Array> {
    match (to, a.dtype()) {
        (1, Dtype::F32) | (7, Dtype::I64) => Some(a.clone()),
        (1 | 10 | 11, _) => Array::of_f32(a.dims().to_vec(), &a.to_f32()),
        (6 | 7, _) => match a.to_ints() {
            Some(ints) => Array::of_i64(a.dims().to_vec(), &ints),
            None if a.numel() <= 4 * MAX_DIMS => {
                let ints: Vec<i64> = a.to_f32().iter().map(|&v| v as i64).collect();
                Array::of_i64(a.dims().to_vec(), &ints)
            }
            None => None,
        },
        _ => None,
    }
}

/// Whether arithmetic with these is arithmetic with integers.
fn integers(a: &Array) -> bool {
    matches!(a.dtype(), Dtype::I64 | Dtype::I32)
}

fn each(a: &Array, f: impl Fn(f64) -> f64) -> Option<Array> {
    if integers(a) {
        let ints: Vec<i64> = a.to_ints()?.iter().map(|&v| f(v as f64) as i64).collect();
        return Array::of_i64(a.dims().to_vec(), &ints);
    }
    let values: Vec<f32> = a.to_f32().iter().map(|&v| f(v.into()) as f32).collect();
    Array::of_f32(a.dims().to_vec(), &values)
}

/// The dimensions of a result of two inputs, whose dimensions of 1 repeat.
fn joint(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| {
        (i + dims.len()).checked_sub(rank).and_then(|i| dims.get(i).copied()).unwrap_or(1)
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (a, b) if a == b => Some(a),
            (1, d) | (d, 1) => Some(d),
            _ => None,
        })
        .collect()
}

/// `a` with its dimensions of 1 repeated.
fn stretched(a: &Array, dims: &[usize], budget: usize) -> Option<Array> {
    let dims = joint(a.dims(), dims)?;
    if dims == a.dims() {
        return Some(a.clone());
    }
    if integers(a) || count(&dims)?.checked_mul(4)? > budget {
        return None;
    }
    let own = a.to_f32();
    let values = places(a.dims(), &dims)?.map(|i| own.get(i).copied().unwrap_or(0.0));
    Array::of_f32(dims, &values.collect::<Vec<_>>())
}

fn broadcast(a: &Array, b: &Array, budget: usize, f: impl Fn(f64, f64) -> f64) -> Option<Array> {
    let dims = joint(a.dims(), b.dims())?;
    if count(&dims)?.checked_mul(8)? > budget {
        return None;
    }
    let (of_a, of_b) = (places(a.dims(), &dims)?, places(b.dims(), &dims)?);
    if integers(a) && integers(b) {
        let (a, b) = (a.to_ints()?, b.to_ints()?);
        let ints = of_a.zip(of_b).map(|(i, j)| {
            let (a, b) = (a.get(i).copied().unwrap_or(0), b.get(j).copied().unwrap_or(0));
            f(a as f64, b as f64) as i64
        });
        return Array::of_i64(dims, &ints.collect::<Vec<_>>());
    }
    let (a, b) = (a.to_f32(), b.to_f32());
    let values = of_a.zip(of_b).map(|(i, j)| {
        let (a, b) = (a.get(i).copied().unwrap_or(0.0), b.get(j).copied().unwrap_or(0.0));
        f(a.into(), b.into()) as f32
    });
    Array::of_f32(dims, &values.collect::<Vec<_>>())
}

/// For every place of the result in row-major order, the place of an input of `own` dimensions.
fn places(own: &[usize], dims: &[usize]) -> Option<impl Iterator<Item = usize> + use<>> {
    let skipped = dims.len().checked_sub(own.len())?;
    let mut strides = vec![0_usize; dims.len()];
    let mut product = 1_usize;
    for (i, &d) in own.iter().enumerate().rev() {
        *strides.get_mut(skipped + i)? = if d == 1 { 0 } else { product };
        product = product.checked_mul(d)?;
    }
    let dims = dims.to_vec();
    let numel = count(&dims)?;
    let (mut index, mut at) = (vec![0_usize; dims.len()], 0_usize);
    Some((0..numel).map(move |_| {
        let here = at;
        for ((i, &d), &stride) in index.iter_mut().zip(&dims).zip(&strides).rev() {
            *i += 1;
            at += stride;
            if *i < d {
                break;
            }
            at -= d * stride;
            *i = 0;
        }
        here
    }))
}
