//! Writes ncnn models: the list of layers as a text or as numbers, and their weights.

/// How weights are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    F32,
    F16,
    /// With a scale for each row.
    I8,
    /// As numbers of entries of a table of 256.
    Table,
}

/// A model that grows layer by layer.
#[derive(Default)]
pub struct Ncnn {
    /// Lines of the text.
    lines: Vec<String>,
    pub bin: Vec<u8>,
    results: usize,
}

impl Ncnn {
    pub fn new() -> Self {
        let mut ncnn = Self::default();
        ncnn.lines.push("Input input 0 1 data".into());
        ncnn.results = 1;
        ncnn
    }

    /// Adds a layer; returns the names of its results.
    pub fn layer(
        &mut self,
        kind: &str,
        inputs: &[&str],
        outputs: usize,
        rest: &str,
    ) -> Vec<String> {
        let number = self.lines.len();
        let names: Vec<String> = (0..outputs).map(|i| format!("b{number}_{i}")).collect();
        self.results += outputs;
        let (ins, outs) = (inputs.join(" "), names.join(" "));
        let head = format!("{kind} l{number} {} {outputs} {ins} {outs}", inputs.len());
        self.lines.push(format!("{head} {rest}"));
        names
    }

    /// Numbers without a word before them.
    pub fn plain(&mut self, values: &[f32]) {
        self.bin.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }

    /// A 3×3 convolution; `activation` is what stands in its line after the sizes.
    pub fn conv(
        &mut self,
        x: &str,
        (weight, bias): (&[f32], &[f32]),
        store: Store,
        activation: &str,
    ) -> String {
        let rows = bias.len();
        let term = if store == Store::I8 { " 8=1" } else { "" };
        let rest = format!("0={rows} 1=3 4=1 5=1 6={}{term} {activation}", weight.len());
        let name = self.layer("Convolution", &[x], 1, &rest).remove(0);
        let pad = |bin: &mut Vec<u8>| bin.resize(bin.len().next_multiple_of(4), 0);
        match store {
            Store::F32 => {
                self.bin.extend(0_u32.to_le_bytes());
                self.plain(weight);
            }
            Store::F16 => {
                self.bin.extend(0x0130_6B47_u32.to_le_bytes());
                let halves = weight.iter().map(|&v| half::f16::from_f32(v).to_le_bytes());
                self.bin.extend(halves.flatten());
                pad(&mut self.bin);
            }
            Store::I8 => {
                self.bin.extend(0x000D_4B38_u32.to_le_bytes());
                self.bin.extend(weight.iter().map(|&v| v as i8 as u8));
                pad(&mut self.bin);
            }
            Store::Table => {
                self.bin.extend(1_u32.to_le_bytes());
                let table: Vec<f32> = (0..256).map(|i| i as f32).collect();
                self.plain(&table);
                self.bin.extend(weight.iter().map(|&v| v as u8));
                pad(&mut self.bin);
            }
        }
        self.plain(bias);
        if store == Store::I8 {
            self.plain(&vec![2.0; rows]);
            self.plain(&[1.0]);
        }
        name
    }

    /// The list of layers as a text.
    pub fn text(&self) -> Vec<u8> {
        let head = format!("7767517\n{} {}\n", self.lines.len(), self.results);
        (head + &self.lines.join("\n") + "\n").into_bytes()
    }

    /// The list of layers as numbers.
    pub fn binary(&self) -> Vec<u8> {
        let types = |kind: &str| match kind {
            "Input" => 16,
            "Convolution" => 6,
            "PReLU" => 23,
            "Split" => 33,
            "BinaryOp" => 40,
            "Interp" => 50,
            "Concat" => 5,
            "Eltwise" => 10,
            "PixelShuffle" => 69,
            other => panic!("{other}"),
        };
        let mut names: Vec<String> = Vec::new();
        let mut out: Vec<u8> = Vec::new();
        let mut push = |value: i32| out.extend(value.to_le_bytes());
        push(7_767_517);
        push(self.lines.len() as i32);
        push(self.results as i32);
        for line in &self.lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (ins, outs): (usize, usize) =
                (words[2].parse().unwrap(), words[3].parse().unwrap());
            push(types(words[0]));
            push(ins as i32);
            push(outs as i32);
            for word in &words[4..4 + ins + outs] {
                let at = names.iter().position(|name| name == word).unwrap_or(names.len());
                if at == names.len() {
                    names.push(word.to_string());
                }
                push(at as i32);
            }
            for word in &words[4 + ins + outs..] {
                let (id, value) = word.split_once('=').unwrap();
                push(id.parse().unwrap());
                for number in value.split(',') {
                    match number.parse::<i32>() {
                        Ok(int) => push(int),
                        Err(_) => push(number.parse::<f32>().unwrap().to_bits() as i32),
                    }
                }
            }
            push(-233);
        }
        out
    }
}
