// How much of a face goes into the pixel (column, row) of the area: the mask, a square of side
// MASK_SIDE in the face's frame, sampled bilinearly; 0 around it.
fn mask_at(x: i32, y: i32) -> f32 {
    if (x < 0 || y < 0 || x >= i32(p.mask_side) || y >= i32(p.mask_side)) {
        return 0.0;
    }
    return mask[u32(y) * p.mask_side + u32(x)];
}

fn soft(column: u32, row: u32) -> f32 {
    let q = (positions[column] + positions[p.width + row]) >> vec2(5u);
    let f = vec2<f32>(q & vec2(31)) / 32.0;
    let g = 1.0 - f;
    let at = q >> vec2(5u);
    return mask_at(at.x, at.y) * (g.y * g.x)
        + mask_at(at.x + 1, at.y) * (g.y * f.x)
        + mask_at(at.x, at.y + 1) * (f.y * g.x)
        + mask_at(at.x + 1, at.y + 1) * (f.y * f.x);
}
