// What is the same for all pixels of channel o of sample n.
struct Channel {
    factor: f32,
    bias: f32,
    slope: f32,
}

fn channel_of(n: u32, o: u32) -> Channel {
    var channel = Channel(p.gain, 0.0, p.activation_low);
#if DEMODULATION
    channel.factor *= demodulation[p.demodulation_offset + n * p.demodulation_batch_stride + o];
#endif
#if BIAS
    channel.bias = value_at(o);
#endif
#if PRELU
    channel.slope = value_at(p.slopes_start + o);
#endif
    return channel;
}
