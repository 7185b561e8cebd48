// F(4×4, 3×3) by Toom and Cook at the points 0, ±A, ±B, ∞. With 3/4 and 3/2 all
// coefficients are exact in f32, and the rounding error is half of that of the usual 1 and 2.

const A = ${A};
const B = ${B};
const A2 = A * A;
const B2 = B * B;

// Bᵀ·d: six neighbouring inputs → six transformed values.
fn transform_input(d: array<f32, 6>) -> array<f32, 6> {
    let even_a = d[4] - B2 * d[2];
    let odd_a = A * (d[3] - B2 * d[1]);
    let even_b = d[4] - A2 * d[2];
    let odd_b = B * (d[3] - A2 * d[1]);
    return array<f32, 6>(
        A2 * B2 * d[0] - (A2 + B2) * d[2] + d[4],
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        A2 * B2 * d[1] - (A2 + B2) * d[3] + d[5],
    );
}

// Aᵀ·m: six transformed values → four neighbouring outputs.
fn transform_output(m: array<f32, 6>) -> array<f32, 4> {
    let sum_a = m[1] + m[2];
    let difference_a = A * (m[1] - m[2]);
    let sum_b = m[3] + m[4];
    let difference_b = B * (m[3] - m[4]);
    return array<f32, 4>(
        m[0] + sum_a + sum_b,
        difference_a + difference_b,
        A2 * sum_a + B2 * sum_b,
        A2 * difference_a + B2 * difference_b + m[5],
    );
}
