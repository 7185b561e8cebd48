// activation(v); `slope` is the leaky slope of v's channel. A NaN stays one.

fn is_nan(v: f32) -> bool {
    // Compilers may assume that v == v.
    return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

fn sigmoid(v: f32) -> f32 {
    // e^80 is finite; f32 ends at e^88.
    return 1.0 / (1.0 + exp(min(-v, 80.0)));
}

#if ACTIVATION == gelu
// The error function to 1.5e-7: Abramowitz and Stegun, 7.1.26.
fn erf(v: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(v));
    let sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t
        + 0.254829592) * t;
    return sign(v) * (1.0 - sum * exp(-v * v));
}
#endif

fn activate(v: f32, slope: f32) -> f32 {
#if ACTIVATION == leaky_relu
    return select(slope * v, v, v > 0.0);
#endif
#if ACTIVATION == silu
    return v * sigmoid(v);
#endif
#if ACTIVATION == sigmoid
    return sigmoid(v);
#endif
#if ACTIVATION == tanh
    // tanh(10) is 1 in f32; drivers compute tanh through exponentials that overflow.
    return select(tanh(clamp(v, -10.0, 10.0)), v, is_nan(v));
#endif
#if ACTIVATION == gelu
    return 0.5 * v * (1.0 + erf(v * 0.70710678));
#endif
#if ACTIVATION == mish
    // v · tanh(ln(1 + e^v)); from 20 on the factor is 1 in f32, and e^40 is finite.
    let e = exp(min(v, 20.0));
    let n = e * (e + 2.0);
    return select(v * (n / (n + 2.0)), v, is_nan(v));
#endif
#if ACTIVATION == clamp
    return select(clamp(v, p.activation_low, p.activation_high), v, is_nan(v));
#endif
#if ACTIVATION == identity
    return v;
#endif
}
