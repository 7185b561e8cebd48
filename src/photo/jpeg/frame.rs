//! The frame: its components, how they are sampled, and where their blocks lie.

use super::super::allocate::filled;
use super::Fault;

/// One component of all pixels, such as luma.
pub(super) struct Component {
    pub(super) id: u8,
    /// Samples per MCU's 8×8, across and down: 1 to 4.
    pub(super) sampling: (usize, usize),
    pub(super) table: usize,
    /// Its steps of quantisation, as they were when its first scan began.
    pub(super) steps: Option<[u16; 64]>,
    /// Blocks across and down that hold pixels.
    pub(super) blocks: (usize, usize),
    /// Blocks across and down that its planes have room for: whole MCUs.
    pub(super) room: (usize, usize),
    /// Samples across and down that hold pixels.
    pub(super) size: (usize, usize),
    /// Coefficients, where several scans refine them.
    pub(super) coefficients: Vec<[i16; 64]>,
    /// Samples, `8 · room` across and down.
    pub(super) plane: Vec<u8>,
    /// For each coefficient the bits that are still to come; `None`: nothing came.
    pub(super) missing: [Option<u8>; 64],
}

/// What the frame's header says.
pub(super) struct Frame {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) progressive: bool,
    pub(super) arithmetic: bool,
    pub(super) components: Vec<Component>,
    /// The largest sampling of any component.
    pub(super) most: (usize, usize),
    /// MCUs across and down.
    pub(super) mcus: (usize, usize),
}

impl Frame {
    pub(super) fn read(marker: u8, segment: &[u8]) -> Result<Self, Fault> {
        let not_read = |what: &str| {
            Err(Fault::NotRead(format!(
                "{what} is not read; save it as baseline JPEG or PNG first"
            )))
        };
        match marker {
            0xF7 => return not_read("JPEG-LS"),
            0xC3 | 0xC7 | 0xCB | 0xCF => return not_read("lossless JPEG"),
            0xC5 | 0xC6 | 0xCD | 0xCE => return not_read("hierarchical JPEG"),
            _ => {}
        }
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = segment else {
            return Err("its header is too short".into());
        };
        if precision != 8 {
            return not_read(&format!("JPEG with {precision} bits per sample"));
        }
        let parts = rest.as_chunks::<3>().0;
        if parts.len() < usize::from(count) {
            return Err("its header is too short".into());
        }
        let mut components = Vec::new();
        for &[id, sampling, table] in &parts[..usize::from(count)] {
            let sampling = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !(1..=4).contains(&sampling.0) || !(1..=4).contains(&sampling.1) || table > 3 {
                return Err("its header makes no sense".into());
            }
            components.push(Component {
                id,
                sampling,
                table: table.into(),
                steps: None,
                blocks: (0, 0),
                room: (0, 0),
                size: (0, 0),
                coefficients: Vec::new(),
                plane: Vec::new(),
                missing: [None; 64],
            });
        }
        let most = components
            .iter()
            .fold((1, 1), |most, c| (c.sampling.0.max(most.0), c.sampling.1.max(most.1)));
        if components.iter().any(|c| most.0 % c.sampling.0 + most.1 % c.sampling.1 != 0) {
            return not_read("JPEG with a component that is sampled at a fraction such as 2/3");
        }
        Ok(Self {
            height: u16::from_be_bytes([h1, h0]).into(),
            width: u16::from_be_bytes([w1, w0]).into(),
            progressive: matches!(marker, 0xC2 | 0xCA),
            arithmetic: marker >= 0xC9,
            components,
            most,
            mcus: (0, 0),
        })
    }

    /// Lays the components out and makes room for their samples. `Err`: there is no memory.
    pub(super) fn lay_out(&mut self) -> Result<(), String> {
        let (width, height, most) = (self.width, self.height, self.most);
        self.mcus = (width.div_ceil(8 * most.0), height.div_ceil(8 * most.1));
        for component in &mut self.components {
            let (across, down) = component.sampling;
            component.size = ((width * across).div_ceil(most.0), (height * down).div_ceil(most.1));
            component.blocks = (component.size.0.div_ceil(8), component.size.1.div_ceil(8));
            component.room = (self.mcus.0 * across, self.mcus.1 * down);
            let blocks = component.room.0 * component.room.1;
            // What no scan brings is gray.
            component.plane = filled(64 * blocks, 128)?;
            if self.progressive {
                component.coefficients = filled(blocks, [0; 64])?;
            }
        }
        Ok(())
    }

    /// Blocks of all components together.
    pub(super) fn blocks(&self) -> usize {
        self.components.iter().map(|c| c.room.0 * c.room.1).sum()
    }
}
