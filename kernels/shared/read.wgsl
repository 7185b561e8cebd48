// x, and the values of it that are read together: one, or with X_EIGHTS eight channels of a pixel that
// lie side by side.

#enable f16 if X == f16
#if X_EIGHTS
@group(0) @binding(_) var<storage, read_write> x: array<mat2x4<${X}>>;

const READS = 8u;
// Four channels and the four behind them.
alias Read = mat2x4<f32>;

fn read_at(at: u32) -> Read {
    return Read(vec4<f32>(x[at][0]), vec4<f32>(x[at][1]));
}

fn between(a: Read, b: Read, share: f32) -> Read {
    return Read(mix(a[0], b[0], share), mix(a[1], b[1], share));
}
#else
@group(0) @binding(_) var<storage, read_write> x: array<${X}>;

const READS = 1u;
alias Read = f32;

fn read_at(at: u32) -> Read {
    return f32(x[at]);
}

fn between(a: Read, b: Read, share: f32) -> Read {
    return mix(a, b, share);
}
#endif
