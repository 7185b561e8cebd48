//! A portrait in print.

/// What `light` at `[x, y]` becomes as ink of one colour: dots 6 pixels apart, in rows at 20 degrees.
pub fn ink([x, y]: [f64; 2], light: u8) -> u8 {
    let (sin, cos) = 20.0_f64.to_radians().sin_cos();
    let wave = |v: f64| (v * std::f64::consts::TAU / 6.0).cos();
    let dot = wave(cos * x + sin * y) + wave(cos * y - sin * x);
    if dot > 4.0 * f64::from(light) / 255.0 - 2.0 { 20 } else { 235 }
}
