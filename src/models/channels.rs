//! Networks of one or four channels on pictures of three.

use crate::Result;
use crate::graph::{Conv2d, NodeId, ops};
use crate::nn::Builder;

/// Shares of red, green and blue in a grey picture (ITU-R BT.601).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// How many channels a network takes and gives, of 1 (grey), 3 (RGB) and 4 (RGB and opacity).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Channels {
    pub input: usize,
    pub output: usize,
}

impl Channels {
    /// `None` for other numbers.
    pub fn new(input: usize, output: usize) -> Option<Self> {
        let known = |n| matches!(n, 1 | 3 | 4);
        (known(input) && known(output)).then_some(Self { input, output })
    }

    /// The change of a picture, in words; `None` where there is none.
    pub fn description(self) -> Option<&'static str> {
        Some(match (self.input, self.output) {
            (3, 3) => return None,
            (1, 1) => "1: red, green and blue each by itself",
            (1, _) => "from 1 to 3: the picture is made grey first",
            (4, 1) | (3, 1) => "to 1: the result is grey",
            (4, _) => "4: pictures are opaque, and stay so",
            (_, _) => "from 3 to 4: the result's opacity is left out",
        })
    }

    /// Runs `network` on the picture `rgb` `[N, 3, H, W]`; the result has three channels too.
    pub fn run(
        self,
        b: &mut Builder,
        rgb: NodeId,
        mut network: impl FnMut(&mut Builder, NodeId) -> Result<NodeId>,
    ) -> Result<NodeId> {
        if (self.input, self.output) == (1, 1) {
            let mut planes = Vec::new();
            for channel in 0..3 {
                let plane = b.slice(rgb, channel, channel + 1)?;
                planes.push(network(b, plane)?);
            }
            return b.add(ops::Concat, &planes);
        }
        let x = match self.input {
            1 => mixed(b, rgb, "grey", &GREY, 1)?,
            4 => {
                let plane = b.slice(rgb, 0, 1)?;
                let zero = b.add(ops::Scale(0.0), &[plane])?;
                let one = b.computed("opaque", vec![1], &[1.0]);
                let opaque = b.add(ops::Bias(one), &[zero])?;
                b.add(ops::Concat, &[rgb, opaque])?
            }
            _ => rgb,
        };
        let y = network(b, x)?;
        match self.output {
            1 => mixed(b, y, "rgb", &[1.0; 3], 3),
            4 => b.slice(y, 0, 3),
            _ => Ok(y),
        }
    }
}

/// `out` channels, sums of those of `x` with these factors.
fn mixed(b: &mut Builder, x: NodeId, name: &str, factors: &[f32], out: usize) -> Result<NodeId> {
    let inner = b.shape(x).c;
    let weight = b.computed(name, vec![out, inner, 1, 1], factors);
    b.add_scoped(name, Conv2d::same(weight, 1), &[x])
}
