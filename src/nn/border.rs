//! Borders of pictures: mirrored ones around them, and crops.

use super::Builder;
use crate::Result;
use crate::graph::{Interpolation, NodeId, Padding, ops};

/// `x` with mirrored borders of any size, the edge not repeated: `x` goes on to and fro, as often
/// as the borders ask for. A single row or column is repeated.
///
/// # Errors
/// When the result is too large.
pub fn mirrored(b: &mut Builder, x: NodeId, padding: Padding) -> Result<NodeId> {
    let Padding { mut top, mut bottom, mut left, mut right } = padding;
    let mut x = x;
    let shape = b.shape(x);
    let alone = |n: usize, before: i32, after: i32| n == 1 && before + after > 0;
    let [rows, columns] = [alone(shape.h, top, bottom), alone(shape.w, left, right)];
    if rows || columns {
        let size = |n: usize, repeat: bool, before: i32, after: i32| match repeat {
            true => n + (before + after) as usize,
            false => n,
        };
        let height = size(shape.h, rows, top, bottom);
        let width = size(shape.w, columns, left, right);
        let step = [shape.h as f32 / height as f32, shape.w as f32 / width as f32];
        let resize = ops::Resize { height, width, interpolation: Interpolation::Nearest, step };
        x = b.add(resize, &[x])?;
        if rows {
            (top, bottom) = (0, 0);
        }
        if columns {
            (left, right) = (0, 0);
        }
    }
    let [rows, columns] = [shape.h, shape.w].map(|n| (n as i32 - 1).max(1));
    while [top, bottom, left, right].iter().any(|&side| side > 0) {
        let shape = b.shape(x);
        // Where another round follows, this one ends where `x` turns.
        let whole = |n: usize, way: i32| (n as i32 - 1) / way * way;
        let [most_rows, most_columns] = [whole(shape.h, rows), whole(shape.w, columns)];
        let now = Padding {
            top: top.min(most_rows),
            bottom: bottom.min(most_rows),
            left: left.min(most_columns),
            right: right.min(most_columns),
        };
        x = b.add(ops::ReflectPad(now), &[x])?;
        top -= now.top;
        bottom -= now.bottom;
        left -= now.left;
        right -= now.right;
    }
    Ok(x)
}

/// `x` with mirrored rows below and columns to the right, up to sides that are multiples of
/// `multiple`.
///
/// # Errors
/// When the result is too large.
pub fn mirrored_to_multiple(b: &mut Builder, x: NodeId, multiple: usize) -> Result<NodeId> {
    let shape = b.shape(x);
    let missing = |n: usize| (n.next_multiple_of(multiple) - n) as i32;
    let padding = Padding { bottom: missing(shape.h), right: missing(shape.w), ..Padding::all(0) };
    mirrored(b, x, padding)
}

/// `x` with zeros below and to the right, up to sides that are multiples of `multiple`.
///
/// # Errors
/// When the result is too large.
pub fn zeros_to_multiple(b: &mut Builder, x: NodeId, multiple: usize) -> Result<NodeId> {
    let shape = b.shape(x);
    crop_to(b, x, shape.h.next_multiple_of(multiple), shape.w.next_multiple_of(multiple))
}

/// `x` without that many rows and columns at its sides; below zero, zeros are added.
///
/// # Errors
/// When nothing would be left.
pub fn crop(b: &mut Builder, x: NodeId, sides: Padding) -> Result<NodeId> {
    if sides == Padding::all(0) {
        return Ok(x);
    }
    let kernel = b.computed("one", vec![1, 1], &[1.0]);
    let Padding { top, bottom, left, right } = sides;
    let padding = Padding { top: -top, bottom: -bottom, left: -left, right: -right };
    b.add(ops::Upfirdn2d { kernel, up: 1, down: 1, padding }, &[x])
}

/// The first `height` rows and `width` columns of `x`, zeros where it has fewer.
///
/// # Errors
/// When the result is too large.
pub fn crop_to(b: &mut Builder, x: NodeId, height: usize, width: usize) -> Result<NodeId> {
    let shape = b.shape(x);
    let surplus = |n: usize, wanted: usize| n as i32 - wanted as i32;
    let sides = Padding {
        bottom: surplus(shape.h, height),
        right: surplus(shape.w, width),
        ..Padding::all(0)
    };
    crop(b, x, sides)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::cpu;
    use crate::plan::{Plan, Target};
    use crate::tensor::Shape;

    /// The sample of `0..n` that stands at `i` when these go on to and fro.
    fn mirror(i: i32, n: i32) -> i32 {
        let period = (2 * (n - 1)).max(1);
        let at = i.rem_euclid(period);
        if n == 1 { 0 } else { at.min(period - at) }
    }

    #[test]
    fn borders_larger_than_the_picture_go_to_and_fro() {
        for (h, w, padding) in [
            (1, 1, Padding { top: 3, bottom: 0, left: 2, right: 5 }),
            (1, 4, Padding { top: 0, bottom: 7, left: 9, right: 1 }),
            (2, 3, Padding { top: 5, bottom: 4, left: 0, right: 11 }),
            (5, 2, Padding { top: 1, bottom: 30, left: 18, right: 18 }),
        ] {
            let checkpoint = Checkpoint::from_params("test", []);
            let mut b = Builder::new(&checkpoint);
            let x = b.graph.add_input("x", Shape::new(1, 1, h, w));
            let y = mirrored(&mut b, x, padding).expect("a border");
            let cut = crop(&mut b, y, padding).expect("the picture is left");
            b.graph.set_output(y);
            b.graph.set_output(cut);
            let input: Vec<f32> = (0..h * w).map(|i| i as f32).collect();
            let plan = Arc::new(Plan::new(Arc::new(b.graph), Target::cpu()).expect("a plan"));
            let mut executor = cpu::Executor::new(plan).expect("room");
            let [actual, cut] = &executor.run(&[&input]).expect("a result")[..] else {
                panic!("two outputs");
            };
            let (height, width) = (h as i32, w as i32);
            let expected: Vec<f32> = (-padding.top..height + padding.bottom)
                .flat_map(|row| {
                    (-padding.left..width + padding.right).map(move |column| {
                        (mirror(row, height) * width + mirror(column, width)) as f32
                    })
                })
                .collect();
            assert_eq!(*actual, expected, "{h}×{w} {padding:?}");
            assert_eq!(*cut, input, "{h}×{w} {padding:?}");
        }
    }
}
