    // of shared/tile.wgsl; with half a tile's rows R and columns S, the sum
    // [R·H + 4·tile_row + C][S·Q + 4·tile_column ..] is m{H}_{C}_{Q}
    let tile_row = lane / (V_WIDTH / 2u);
    let tile_column = lane % (V_WIDTH / 2u);
#for H in 0..2
#for C in 0..4
#for Q in 0..2
    var m${H}_${C}_${Q} = vec4<f32>();
#endfor
#endfor
#endfor
