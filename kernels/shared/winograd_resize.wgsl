// Six resized values from the four of x around them, zero where `inside` is.
fn resize(x: array<f32, 4>, inside: array<f32, 6>) -> array<f32, 6> {
    return array<f32, 6>(
        inside[0] * (0.75 * x[0] + 0.25 * x[1]),
        inside[1] * (0.25 * x[0] + 0.75 * x[1]),
        inside[2] * (0.75 * x[1] + 0.25 * x[2]),
        inside[3] * (0.25 * x[1] + 0.75 * x[2]),
        inside[4] * (0.75 * x[2] + 0.25 * x[3]),
        inside[5] * (0.25 * x[2] + 0.75 * x[3]),
    );
}

// 1 for each of the six positions from 4·tile - 1 on that lies in 0..size, else 0.
fn inside(tile: u32, size: u32) -> array<f32, 6> {
    let first = 4 * i32(tile) - 1;
    let end = i32(size);
    return array<f32, 6>(
        select(0.0, 1.0, first >= 0),
#for I in 1..6
        select(0.0, 1.0, first + ${I} < end),
#endfor
    );
}
