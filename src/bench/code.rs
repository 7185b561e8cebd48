//! What drivers say of machine code, by names that are the same for all of them.

use serde::{Deserialize, Serialize};

/// Figures of one kernel; `None` where a driver does not tell.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Vector registers of an invocation, of the driver's own size: 32 bits on AMD and NVIDIA, four
    /// times 32 on Adreno, 16 on Apple.
    pub registers: Option<f64>,
    /// Registers that go to memory and come back for want of room.
    pub spills: Option<f64>,
    /// Bytes of memory of one invocation: spills, and arrays that are indexed.
    pub private_bytes: Option<f64>,
    /// Bytes of workgroup memory.
    pub shared_bytes: Option<f64>,
    /// Invocations of a subgroup.
    #[serde(default)]
    pub lanes: Option<f64>,
    /// Subgroups that a unit holds at a time: a SIMD on AMD, a multiprocessor on NVIDIA, a core on
    /// Adreno and Apple.
    pub subgroups: Option<f64>,
    /// Bytes of machine code.
    pub code_bytes: Option<f64>,
    /// Its instructions.
    pub instructions: Option<f64>,
    /// The driver's own estimate, to be compared with another of the same driver alone.
    pub cycles: Option<f64>,
    /// Classes of its instructions.
    pub classes: Option<Classes>,
}

/// How many instructions move 16 bits or fewer, 32, 64, and more, at a time and invocation.
pub type Widths = [u32; 4];

/// Instructions by class. Loads of uniform values are none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Classes {
    /// From memory.
    pub loads: Widths,
    /// To memory.
    pub stores: Widths,
    /// From workgroup memory.
    pub shared_loads: Widths,
    /// To workgroup memory.
    pub shared_stores: Widths,
    /// Products of matrices.
    pub matrix: u32,
    /// Loads of whole fragments from workgroup memory (`ldsm`).
    pub fragment_loads: u32,
    /// Transpositions of fragments in registers (`movm`).
    pub transposes: u32,
    /// Barriers of a workgroup.
    pub barriers: u32,
    /// Bytes of workgroup memory that an invocation reads between two labels between which products
    /// of matrices stand, its share of whole fragments among them: what they multiply.
    #[serde(default)]
    pub factor_bytes: u32,
}

impl Figures {
    /// Products of matrices for each KiB of workgroup memory that a subgroup reads for them.
    pub fn products_per_kib(&self) -> Option<f64> {
        let (classes, lanes) = (self.classes?, self.lanes?);
        let bytes = f64::from(classes.factor_bytes) * lanes;
        (bytes > 0.0).then(|| f64::from(classes.matrix) * 1024.0 / bytes)
    }
}

/// The figures among a driver's statistics and texts.
pub fn figures(statistics: &[(String, f64)], texts: &[(String, String)]) -> Figures {
    let one = |names: &[&str]| {
        let found = statistics.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| *value)
    };
    let sum = |names: &[&str]| {
        let found = statistics.iter().filter(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| *value).reduce(|a, b| a + b)
    };
    let most = |names: &[&str]| {
        let found = statistics.iter().filter(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| *value).reduce(f64::max)
    };
    // Apple's driver counts invocations, 32 to a subgroup.
    let threads = one(&["Threads"]).map(|threads| threads / 32.0);
    let assembly = texts.iter().rev().find(|(name, _)| name.to_lowercase().contains("assembly"));
    Figures {
        registers: one(&["VGPRs", "Number of GPRs", "Registers used", "GPRs"]),
        spills: sum(&[
            "Spilled VGPRs",
            "Spills to memory",
            "Fills from memory",
            "STP Count",
            "LDP Count",
            "Spills",
            "Fills",
        ]),
        private_bytes: one(&["Scratch size", "SLM size", "Scratch"]),
        shared_bytes: one(&["LDS size"]),
        lanes: one(&["Subgroup size"]),
        subgroups: one(&["Subgroups per SIMD", "Max warps/SM", "Max Waves Per Core"]).or(threads),
        code_bytes: one(&["Code size"]),
        instructions: one(&["Instructions", "Instruction count", "Instruction Count"]),
        cycles: most(&["Inverse Throughput", "Static cycle count", "ALU", "FSCIB", "IC"]),
        classes: assembly.map(|(_, text)| Classes::of(text)),
    }
}

/// Loads from workgroup memory.
const SHARED_LOADS: &[&str] = &["ds_load", "ds_read", "ld.shared", "ldl."];

/// Whether a line of assembler begins a block: AMD's `BB1:`, NAK's `block 1 [0] -> {` and `} -> [2]`.
fn is_label(code: &str) -> bool {
    let code = code.trim();
    code.ends_with(':') || code.starts_with("block") || code.starts_with('}')
}

/// Bytes of workgroup memory that `operation` brings to an invocation. `ldsm.16.m8n8.x4` loads four
/// matrices of 8 × 8 halves, of each of which one of 32 invocations has 4 bytes.
fn shared_bytes(operation: &str, line: &str) -> u32 {
    if operation.starts_with("ldsm") {
        let several = operation.split('.').find_map(|part| part.strip_prefix('x')?.parse().ok());
        return 4 * several.unwrap_or(1);
    }
    let loads = SHARED_LOADS.iter().any(|prefix| operation.starts_with(prefix));
    if loads { width(operation, line) / 8 } else { 0 }
}

impl Classes {
    /// Counts the instructions of AMD's, NVIDIA's (as NAK prints it) or Adreno's assembler.
    pub fn of(assembly: &str) -> Self {
        let mut classes = Self::default();
        // Products, and bytes that were read, behind the last label.
        let (mut products, mut bytes) = (0, 0);
        // The end ends a block as a label does.
        for line in assembly.lines().chain(["end:"]) {
            // What stands behind is a comment: encodings, delays.
            let code = line.split(['/', ';']).next().unwrap_or("");
            if is_label(code) {
                if classes.matrix > products {
                    classes.factor_bytes += bytes;
                }
                (products, bytes) = (classes.matrix, 0);
                continue;
            }
            // Flags, guards and results stand before an operation.
            for word in code.split_whitespace() {
                let operation = bare(word);
                bytes += shared_bytes(operation, code);
                if classes.count(operation, code) || operation.starts_with("s_") {
                    break;
                }
            }
        }
        classes
    }

    /// Counts `operation`, if it is one of these; whether it was.
    fn count(&mut self, operation: &str, line: &str) -> bool {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|p| operation.starts_with(p));
        let place = match () {
            () if starts(&[
                "buffer_load",
                "global_load",
                "flat_load",
                "ld.global",
                "ldib",
                "isam",
                "ldg.",
            ]) =>
            {
                &mut self.loads
            }
            () if starts(&[
                "buffer_store",
                "global_store",
                "flat_store",
                "st.global",
                "stib",
                "stg.",
            ]) =>
            {
                &mut self.stores
            }
            () if starts(SHARED_LOADS) => &mut self.shared_loads,
            () if starts(&["ds_store", "ds_write", "st.shared", "stl."]) => &mut self.shared_stores,
            () => {
                let counter = match () {
                    () if starts(&["v_wmma", "v_mfma", "hmma", "imma"]) => &mut self.matrix,
                    () if starts(&["ldsm"]) => &mut self.fragment_loads,
                    () if starts(&["movm"]) => &mut self.transposes,
                    // Where a barrier is split, its first half counts.
                    () if operation == "s_barrier" || starts(&["s_barrier_signal", "bar."]) => {
                        &mut self.barriers
                    }
                    () => return false,
                };
                *counter += 1;
                return true;
            }
        };
        place[class(width(operation, line))] += 1;
        true
    }
}

/// A word without the flags before it: `(sy)(ss)bar.g`.
fn bare(mut word: &str) -> &str {
    while let Some((_, rest)) = word.strip_prefix('(').and_then(|flag| flag.split_once(')')) {
        word = rest;
    }
    word
}

/// Which of [`Widths`].
fn class(bits: u32) -> usize {
    match bits {
        0..=16 => 0,
        17..=32 => 1,
        33..=64 => 2,
        _ => 3,
    }
}

/// Bits that a load or store moves.
fn width(operation: &str, line: &str) -> u32 {
    // Adreno's: a type, and how many.
    if let Some((_, mask)) =
        operation.starts_with("isam").then_some(line).and_then(|l| l.rsplit_once(")("))
    {
        let half = line.contains("(f16)") || line.contains("(u16)");
        let values = mask.split(')').next().unwrap_or("").chars().filter(|c| "xyzw".contains(*c));
        return values.count() as u32 * if half { 16 } else { 32 };
    }
    let parts = || operation.split(['.', '_']);
    let digits = |part: &str, letter: char| part.strip_prefix(letter)?.parse::<u32>().ok();
    let mut typed = parts().filter_map(|part| {
        ['b', 'u', 's', 'f', 'i'].into_iter().find_map(|letter| digits(part, letter))
    });
    let bits = typed.next_back().or_else(|| {
        let words = parts().find_map(|part| part.strip_prefix("dword"))?;
        Some(32 * words.strip_prefix('x').map_or(Some(1), |n| n.parse().ok())?)
    });
    let bits = bits.unwrap_or(if operation.contains("short") || operation.contains("byte") {
        16
    } else {
        32
    });
    let several = if operation.starts_with("ldib") || operation.starts_with("stib") {
        // ldib.b.untyped.1d.u32.4.imm
        parts().filter_map(|part| part.parse::<u32>().ok()).next_back()
    } else if operation.starts_with("ldl")
        || operation.starts_with("stl")
        || operation.starts_with("ldg.")
        || operation.starts_with("stg.")
    {
        line.rsplit(',').next().and_then(|count| count.trim().parse().ok())
    } else if operation.contains("2addr")
        || operation.contains("read2")
        || operation.contains("write2")
    {
        Some(2)
    } else {
        None
    };
    bits * several.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amd_s_assembler_is_counted() {
        let classes = Classes::of(
            "BB0:\n\
             \ts_buffer_load_b128 s[36:39], s[16:19], 0x0 ; f4024908\n\
             \tbuffer_load_d16_b16 v1, v2, s[0:3], 0 offen ; c4\n\
             \tbuffer_load_b64 v[1:2], v2, s[0:3], 0 offen\n\
             \tbuffer_load_dwordx4 v[1:4], v2, s[0:3], 0\n\
             \tds_store_2addr_stride64_b64 v1, v[2:3], v[4:5]\n\
             \tds_load_u16_d16_hi v1, v2\n\
             \ts_barrier_signal -1\n\ts_barrier_wait -1\n\
             \tv_wmma_f32_16x16x16_f16 v[0:7], v[8:11], v[12:15], v[0:7]\n\
             \tbuffer_store_b16 v1, v2, s[0:3], 0 offen\n",
        );
        assert_eq!((classes.loads, classes.stores), ([1, 0, 1, 1], [1, 0, 0, 0]));
        assert_eq!((classes.shared_loads, classes.shared_stores), ([1, 0, 0, 0], [0, 0, 0, 1]));
        assert_eq!((classes.matrix, classes.barriers), (1, 1));
        assert_eq!(classes.factor_bytes, 2);
    }

    #[test]
    fn nvidia_s_is() {
        let classes = Classes::of(
            "block 0 [] -> {\n\
             \x20     r3..5     = ld.global.a64.constant.b32 [r2..4] // delay=1\n\
             @p0   r3        = ld.global.a64.constant.u16 [r2..4] // delay=1\n\
             \x20      r8..12 = ld.shared.strong.cta.b128 [r4] // wr:1\n\
             \x20      st.shared.strong.cta.b64 [r4] r2..4\n\
             } -> [1]\n\
             block 1 [0] -> {\n\
             \x20      r1 = movm.16.m8n8.trans r1\n\
             \x20      r0..4 = ldsm.16.m8n8.x4 [r3]\n\
             \x20      r0..4 = hmma.m16n8k16.f32 r0..4 r4..6 r0..4\n\
             \x20      bar.sync\n",
        );
        assert_eq!((classes.loads, classes.shared_loads), ([1, 1, 0, 0], [0, 0, 0, 1]));
        assert_eq!(classes.shared_stores, [0, 0, 1, 0]);
        let [matrix, others] = [classes.matrix, classes.transposes + classes.fragment_loads];
        assert_eq!((matrix, others, classes.barriers), (1, 2, 1));
        // The first block has no product.
        assert_eq!(classes.factor_bytes, 16);
        let figures = Figures { classes: Some(classes), lanes: Some(32.0), ..Figures::default() };
        assert_eq!(figures.products_per_kib(), Some(2.0));
    }

    #[test]
    fn adreno_s_is() {
        let classes = Classes::of(
            "(sy)stl.u32 l[r7.w], r6.w, 4\n(sy)(ss)bar.g\nldl.u32 r6.y, l[r12.y], 1\n\
             isam.v.base0 (f32)(xyzw)r0.x, r1.x, t#11\n(rpt2)isam.v.base0 (u16)(x)hr0.x, r1.x, t#1\n\
             stib.b.untyped.1d.u32.1.imm.base0 r1.x, r2.x, 7\nldib.b.untyped.1d.f16.4.imm.base0 r1.x, r2.x, 7\n",
        );
        assert_eq!((classes.loads, classes.stores), ([1, 0, 1, 1], [0, 1, 0, 0]));
        assert_eq!((classes.shared_loads, classes.shared_stores), ([0, 1, 0, 0], [0, 0, 0, 1]));
        assert_eq!(classes.barriers, 1);
    }

    #[test]
    fn figures_have_one_name_for_all_drivers() {
        let of = |all: &[(&str, f64)]| {
            let all: Vec<_> =
                all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            figures(&all, &[])
        };
        let amd = of(&[("VGPRs", 144.0), ("Spilled VGPRs", 2.0), ("Inverse Throughput", 7.0)]);
        assert_eq!((amd.registers, amd.spills, amd.cycles), (Some(144.0), Some(2.0), Some(7.0)));
        let nvidia = of(&[("Spills to memory", 1.0), ("Fills from memory", 3.0)]);
        assert_eq!((nvidia.spills, nvidia.registers, nvidia.classes), (Some(4.0), None, None));
        assert_eq!(of(&[("Threads", 448.0)]).subgroups, Some(14.0));
    }
}
