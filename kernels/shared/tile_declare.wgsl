    // of shared/tile.wgsl; sum [32·H + 4·tile_row + C][32·Q + 4·tile_column ..] is m{H}_{C}_{Q}
    let tile_row = lane / 8u;
    let tile_column = lane % 8u;
#for H in 0..2
#for C in 0..4
#for Q in 0..2
    var m${H}_${C}_${Q} = vec4<f32>();
#endfor
#endfor
#endfor
