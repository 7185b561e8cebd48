    // Sums of a tile that one subgroup computes: row (L·SHARE_QUADS + S)·4 + C, columns 4·Q.. of
    // this lane's, is m{L}_{S}_{C}_{Q}.
#for L in 0..${LANES}
#for S in 0..${SHARE_QUADS}
#for C in 0..4
#for Q in 0..${QUADS}
    var m${L}_${S}_${C}_${Q} = vec4<f32>();
#endfor
#endfor
#endfor
#endfor
